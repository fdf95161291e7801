/** Halt, reduce, flatten, kill, resume, with scope. The button and Alt+Shift+H open it at "halt"; one more press halts. */
import { useEffect, useState } from "react";
import { get } from "../api/client";
import type { FlattenProgress, HaltRow } from "../generated/api";
import { useStack, useTopic } from "../live/hooks";
import { ActionDialog } from "../ui/action";
import { Dialog } from "../ui/dialog";
import { moment, profit, span } from "../ui/format";
import { Badge, ErrorNote, Field, Tabs } from "../ui/parts";
import { knownSum } from "../pages/position_sums";
import { haltText } from "./halts";

const KINDS = ["Halt", "Reduce only", "Flatten", "Kill file", "Resume"] as const;
export type EmergencyKind = (typeof KINDS)[number];

const NO_SCOPE = "?";

const TELLS: Record<EmergencyKind, string> = {
  Halt: "No entry from now on. Positions stay, their stops and exits go on.",
  "Reduce only": "From now on only orders that reduce a position. Stops and exits go on.",
  Flatten: "Halts entries, cancels what rests and closes positions at the market, until the books show flat twice.",
  "Kill file": "Writes the file KILL: entries stop even if the gateway hangs, until the file is removed here or in the shell.",
  Resume: "Allows entries again. Asks for your password or code, unless you gave it within ten minutes.",
};

/** `strategy` or `account` is the scope that it opens with, everything if there is none. */
export function Emergency(props: { kind: EmergencyKind; strategy?: string; account?: string; onClose: () => void }) {
  const [kind, setKind] = useState(props.kind);
  const [scope, setScope] = useState(props.strategy ? `s:${props.strategy}` : props.account ? `a:${props.account}` : "");
  const [flattens, setFlattens] = useState<readonly string[] | null>(null);
  const accounts = useTopic("accounts").rows;
  const strategies = useTopic("strategies").rows;
  const positions = useTopic("positions").rows;
  const stack = useStack();

  const name = scope.slice(2);
  const account = scope.startsWith("a") ? name : "";
  const strategy = scope.startsWith("s") ? name : "";
  const held = positions.filter((row) => row.managed && row.quantity !== 0 && (!account || row.account === account) && (!strategy || row.strategy === strategy));
  const left = positions.filter((row) => !row.managed && (!account || row.account === account)).length;
  const open = knownSum(held.map((row) => row.unrealised));
  const listed = accounts.some((row) => row.account === account) || strategies.some((row) => row.name === strategy);
  const killed = Boolean(stack?.kill);
  const halts = useTopic("halts").rows;
  // what is resumed in part stays held back by what holds all
  const wider = kind === "Resume" && scope ? halts.find((row) => row.kind === "level" && !row.account) : undefined;

  if (flattens) return <FlattenDialog ids={flattens} onClose={props.onClose} />;
  const unscoped = kind === "Reduce only" && strategy !== ""; // a strategy has no reduce: the whole stack is not meant
  const where = account ? `account ${account}` : strategy ? `strategy ${strategy}` : "everything";
  const chosen = {
    Halt: strategy
      ? { action: "switch", body: { strategy, enabled: false }, button: `Stop entries of ${strategy}` }
      : { action: "halt", body: { account }, button: `Halt ${where}` },
    "Reduce only": { action: "reduce", body: unscoped ? null : { account }, button: `Only reduce: ${unscoped ? "choose the scope" : where}` },
    Flatten: { action: "flatten", body: { account, strategy }, button: `Flatten ${where}: ${held.length} position${held.length === 1 ? "" : "s"}` },
    "Kill file": { action: "kill", body: {}, button: "Write the kill file" },
    Resume: killed
      ? { action: "unkill", body: {}, button: "Remove the kill file" }
      : strategy
        ? { action: "switch", body: { strategy, enabled: true }, button: `Allow entries of ${strategy}` }
        : { action: "resume", body: { account }, button: `Resume ${where}` },
  }[kind];
  const scoped = kind !== "Kill file" && !(kind === "Resume" && killed);
  return (
    <ActionDialog
      title="Emergency"
      {...chosen}
      danger={kind !== "Resume"}
      emergency
      onClose={props.onClose}
      {...(kind === "Flatten" ? { onTaken: (taken) => setFlattens(taken.follow) } : {})}
    >
      <Tabs label="What to do" names={KINDS} value={kind} onChange={setKind} />
      <p>{TELLS[kind]}</p>
      {scoped && (
        <Field label="Scope">
          <select value={unscoped ? NO_SCOPE : scope} onChange={(event) => setScope(event.target.value)}>
            {unscoped && (
              <option value={NO_SCOPE} disabled>
                Choose: a strategy cannot be reduced
              </option>
            )}
            <option value="">Everything</option>
            {scope && !unscoped && !listed && <option value={scope}>{name}</option>}
            <optgroup label="One account">
              {accounts.map((row) => (
                <option key={row.account} value={`a:${row.account}`}>
                  {row.account}
                </option>
              ))}
            </optgroup>
            {kind !== "Reduce only" && (
              <optgroup label="One strategy">
                {strategies.map((row) => (
                  <option key={row.name} value={`s:${row.name}`}>
                    {row.name}
                  </option>
                ))}
              </optgroup>
            )}
          </select>
        </Field>
      )}
      {kind === "Flatten" && (
        <p>
          Open there now: {held.length} position{held.length === 1 ? "" : "s"}, open P&L {profit(open.sum)}{open.unknown > 0 && `, without ${open.unknown} unpriced`}.{" "}
          {!strategy && left > 0 && `${left} unmanaged ${left === 1 ? "position is" : "positions are"} left alone.`}
        </p>
      )}
      {wider && !killed && <div className="note care">Entries of all accounts stay {haltText(wider)}: choose Everything to end that.</div>}
      {kind === "Resume" && killed && <p>The file KILL says: {stack?.kill}. Remove it first; then resume.</p>}
    </ActionDialog>
  );
}

/** Every halt in force with its scope; `onResume` (null for who may not) opens the way back of one. */
export function HaltsDialog(props: { onResume: ((row: HaltRow) => void) | null; onClose: () => void }) {
  const halts = useTopic("halts").rows;
  return (
    <Dialog title="What holds entries back" onClose={props.onClose}>
      {!halts.length && <div className="inside">Nothing any more: entries are allowed.</div>}
      <ul className="list">
        {halts.map((row) => (
          <li key={row.id}>
            <Badge tone="bad">{haltText(row)}</Badge>
            <span className="grow">
              {row.reason || "no reason given"}{" "}
              <span className="muted small">
                {row.by && `by ${row.by}`} {row.at_ms !== null && moment(row.at_ms)}
              </span>
            </span>
            {row.kind === "flatten" ? <span className="muted small">{row.cure}</span> : props.onResume && <button type="button" className="small" onClick={() => props.onResume?.(row)} aria-label={`End ${haltText(row)}`}>{row.kind === "kill" ? "Remove…" : "Resume…"}</button>}
          </li>
        ))}
      </ul>
      <div className="inside muted small">{props.onResume ? "A halt of an instrument ends with the resume of its account." : "Ending one takes the role trader."}</div>
    </Dialog>
  );
}

/** How flattens go on, until the books showed flat twice. */
export function FlattenDialog(props: { ids: readonly string[]; onClose: () => void }) {
  const [rows, setRows] = useState<readonly FlattenProgress[]>([]);
  const [error, setError] = useState<unknown>(null);
  const key = props.ids.join(" ");
  useEffect(() => {
    let over = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      try {
        const found = await Promise.all(key.split(" ").map((id) => get<FlattenProgress>(`/api/actions/flatten/${encodeURIComponent(id)}`)));
        if (over) return;
        setRows(found);
        setError(null);
        if (found.every((row) => row.flat)) return;
      } catch (failure) {
        if (!over) setError(failure);
      }
      if (!over) timer = setTimeout(look, 1500);
    };
    void look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key]);
  return (
    <Dialog title="Flatten" onClose={props.onClose}>
      <div className="inside">
        <ErrorNote error={error} />
        {!rows.length && <p>Taken. Waiting for the first word about it…</p>}
        {rows.map((row) => (
          <div key={row.id} className={`note ${row.flat ? "good" : row.state === "late" ? "bad" : ""}`}>
            <div className="strong">{row.flat ? "Flat: confirmed twice by the books" : `${row.state}, not flat yet`}</div>
            {!row.flat && row.seconds_left !== null && <div>Deadline in {span(row.seconds_left)}</div>}
            {row.left.length > 0 && <div>Still open: {row.left.join(", ")}</div>}
            {row.unmanaged.length > 0 && <div>Unmanaged, left alone: {row.unmanaged.join(", ")}</div>}
          </div>
        ))}
        <p className="muted">Closing this window changes nothing: the flatten goes on.</p>
      </div>
    </Dialog>
  );
}
