/** Close a position or a whole run, or claim units that nobody owns. */
import { useEffect, useRef, useState } from "react";
import { post } from "../api/client";
import type { ActionTaken, PositionRow, StructureMargin, StructureRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { FlattenDialog } from "../shell/emergency";
import { ActionDialog } from "../ui/action";
import { Dialog } from "../ui/dialog";
import { clock, number, profit, rupees, symbol, units } from "../ui/format";
import { ErrorNote, Field } from "../ui/parts";
import { NumberField, useNumber } from "../ui/typed_field";
import { AnswerFollow } from "./order_dialogs";
import { isOpen } from "./position_sums";
import { held } from "./positions";

interface Props {
  id: string;
  onClose: () => void;
}

function useSeenPosition(id: string) {
  const now = useTopic("positions").rows.find((row) => row.id === id && isOpen(row));
  const [seen, setSeen] = useState(now);
  const position = seen ?? now;
  const moved = Boolean(position && (!now || now.version !== position.version));
  const changed = !moved ? "" : now ? `The position changed: now ${units(now.quantity)} units.` : "The position is gone.";
  return { position, now, moved, changed, look: () => setSeen(now) };
}

function Seen(props: { position: PositionRow; now: PositionRow | undefined; moved: boolean; look: () => void }) {
  const { position, now } = props;
  return (
    <div className="note">
      <div className="strong">{held(position)}</div>
      <div>
        {position.managed ? `of ${position.strategy}` : "owned by no strategy"}, average {rupees(position.average_price)}, last {rupees(now?.ltp)}, open P&L {profit(now?.unrealised)}
      </div>
      {props.moved && now && (
        <button type="button" className="small" onClick={props.look}>
          Take the new state
        </button>
      )}
    </div>
  );
}

/** A position that covers sold legs of its owner needs a tick and a reason, or the close of the whole run. */
export function ClosePositionDialog(props: Props) {
  const seen = useSeenPosition(props.id);
  const runs = useTopic("structures").rows;
  const [force, setForce] = useState(false);
  const [whole, setWhole] = useState<StructureRow | null>(null);
  if (whole) return <CloseRunDialog row={whole} onClose={props.onClose} />;
  if (!seen.position) return <Gone {...props} />;
  const { position } = seen;
  const covers = Object.entries((seen.now ?? position).covers);
  const run = runs.find((row) => row.strategy === position.strategy && row.run === position.run);
  return (
    <ActionDialog
      title="Close the position" action="close" button={`Close ${number(Math.abs(position.quantity || position.quantity_seen))} units at the market`} danger changed={seen.changed} reasonNeeded={covers.length > 0}
      body={covers.length && !force ? null : { position: position.id, version: position.version, force: covers.length > 0 }} onClose={props.onClose}
    >
      <Seen {...seen} position={position} />
      {covers.length > 0 && (
        <>
          <div className="note bad">
            <div className="strong">It covers what {position.strategy} sold:</div>
            {covers.map(([name, bare]) => <div key={name}>{number(bare)} units of {symbol(name)} in {position.account} would stand without cover</div>)}
            <MarginBeforeAfter closed={position} />
          </div>
          <label className="tick">
            <input type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} />
            I answer for the sold legs without their cover.
          </label>
          <p>
            {run ? <button type="button" onClick={() => setWhole(run)}>Close the run instead…</button> : "To close all of it, flatten the strategy on its own page"}: what is sold is bought back first, then this.
          </p>
        </>
      )}
      <p>An exit goal: its orders go on until the books show it flat. Only this owner's units are closed, and never more than are held.</p>
    </ActionDialog>
  );
}

/** What the owner's positions in the account need together, now and once one of them is closed, by our tables. */
function MarginBeforeAfter({ closed }: { closed: PositionRow }) {
  const rows = useTopic("positions").rows.filter((row) => row.managed && isOpen(row) && row.strategy === closed.strategy && row.account === closed.account);
  const legs = rows.map((row) => ({ id: row.id, instrument: row.instrument, units: row.quantity || row.quantity_seen, price: row.ltp ?? row.average_price ?? 0, product: row.product }));
  const latest = useRef(legs);
  latest.current = legs;
  const held = legs.map((one) => `${one.units} ${one.instrument} ${one.product}`).join("\n");
  const [found, setFound] = useState<readonly StructureMargin[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (!held) return;
    let dropped = false;
    const ask = (kept: typeof legs) => post<StructureMargin>("/api/structure/margin", { spot: 0, legs: kept.map(({ id: _, ...leg }) => leg) });
    Promise.all([ask(latest.current), ask(latest.current.filter((one) => one.id !== closed.id))]).then(
      (margins) => dropped || (setFound(margins), setError(null)),
      (failure) => dropped || setError(failure),
    );
    return () => {
      dropped = true;
    };
  }, [held, closed.id]);
  if (error) return <ErrorNote error={error} />;
  return (
    <div>
      Margin of the strategy in {closed.account}, by our tables: {rupees(found?.[0]?.margin, 0)} → <span className="strong">{rupees(found?.[1]?.margin, 0)}</span>
    </div>
  );
}

/** Closes all that a strategy holds, and leaves its entries on; `row` is the run as it was when the button was pressed. */
export function CloseRunDialog({ row, onClose }: { row: StructureRow; onClose: () => void }) {
  const now = useTopic("structures").rows.find((one) => one.id === row.id);
  const [flattens, setFlattens] = useState<readonly string[] | null>(null);
  if (flattens) return <FlattenDialog ids={flattens} onClose={onClose} />;
  const legs = now?.legs ?? [];
  return (
    <ActionDialog
      title="Close the run" action="close-run" button={`Close ${number(legs.length)} ${legs.length === 1 ? "leg" : "legs"} at the market`} danger changed={now ? "" : "The run is over."}
      body={{ run: row.run }} onClose={onClose} onTaken={(taken) => setFlattens(taken.follow)}
    >
      <div className="note">
        <div className="strong">{row.strategy}, run of {clock(row.opened_ms)}</div>
        <div>P&L {profit(now?.profit)}</div>
        {legs.map((leg) => <div key={`${leg.account} ${leg.instrument} ${leg.product}`}>{units(leg.quantity)} {symbol(leg.instrument)} {leg.product} in {leg.account}</div>)}
      </div>
      <p>All that {row.strategy} holds is closed: sold legs first, then what covers them, until the books show it flat twice. Its entries stay allowed once that is done; to end them too, flatten the strategy.</p>
    </ActionDialog>
  );
}

export function ClaimDialog(props: Props) {
  const seen = useSeenPosition(props.id);
  const strategies = useTopic("strategies").rows;
  const [strategy, setStrategy] = useState("");
  const stop = useNumber("", { above: 0, empty: 0 });
  const paid = useNumber("", { above: 0, empty: 0 });
  const [taken, setTaken] = useState<ActionTaken | null>(null);
  if (taken) return <AnswerFollow taken={taken} onClose={props.onClose} />;
  if (!seen.position) return <Gone {...props} />;
  const ready = strategy && stop.value !== null && paid.value !== null;
  return (
    <ActionDialog
      title="Claim units" action="claim" button="Claim" changed={seen.changed} onClose={props.onClose} onTaken={setTaken}
      body={ready ? { position: seen.position.id, version: seen.position.version, strategy, stop: stop.value, price: paid.value } : null}
    >
      <Seen {...seen} position={seen.position} />
      <div className="form">
        <Field label="Give them to">
          <select value={strategy} onChange={(event) => setStrategy(event.target.value)}>
            <option value="">Choose…</option>
            {strategies.map((row) => (
              <option key={row.name}>{row.name}</option>
            ))}
            <option value="manual">manual (to be closed by hand)</option>
          </select>
        </Field>
        <NumberField label="Stop at ₹ (empty: none)" of={stop} />
        <NumberField label="Price paid ₹ (empty: the broker's)" of={paid} />
      </div>
    </ActionDialog>
  );
}

function Gone(props: Props) {
  return (
    <Dialog title="Position" onClose={props.onClose}>
      <div className="inside">This position is not in the list any more.</div>
    </Dialog>
  );
}
