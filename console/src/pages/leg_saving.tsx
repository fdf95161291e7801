/** Saves the builder's legs as a strategy without code: checked by field, compared with the file, kept in versions. */
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Link as To } from "wouter";
import { post } from "../api/client";
import type { Answer } from "../api/hooks";
import { useRole } from "../api/session";
import type { LegDraft, LegDraftResult, LegFile, LegFileRow } from "../generated/api";
import { FILE_KEYS } from "../generated/leg_keys";
import type { Leaving } from "../shell/leaving";
import { version as versionName } from "../ui/format";
import { Dialog } from "../ui/dialog";
import { Badge, Card, Diff, ErrorNote, Field } from "../ui/parts";
import { toast } from "../ui/toast";
import { AccountChoice } from "./account_choice";
import { asChoice, asNumber, type Leg, sentLeg, underlyingOf } from "./builder_legs";
import { KeyField } from "./key_field";
import { afterChange, byField, type Mistakes, toldOf, together, typedMistakes } from "./leg_problems";
import { PLACED, type PlacedKey, PLACES, SECTIONS } from "./leg_sections";
import { PaperTrial } from "./paper_trial";

const READ_ONLY = "Files of legs are opened, checked, saved, backtested and run on paper by traders; your role is viewer. An administrator can change that under Users.";

const NEW: Partial<Record<PlacedKey, string>> = { entry_time: "09:20", exit_time: "15:10", product: "MIS" };

/** What a file says of a key, at the top or in its table `[risk]`, as the page's field has it. */
function shown(values: Record<string, unknown>, key: PlacedKey): string {
  const risk = values.risk as Record<string, unknown> | undefined;
  const value = values[key] ?? (key.startsWith("risk_") ? risk?.[key.slice(5)] : undefined);
  if (value === undefined || value === null) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(", ");
  return FILE_KEYS[key].kind === "time" ? String(value).slice(0, 5) : asChoice(FILE_KEYS[key], String(value));
}

/** What a field says, as the file has it; null takes the key out. */
function sent(text: string, key: PlacedKey): unknown {
  if (text.trim() === "") return null;
  switch (FILE_KEYS[key].kind) {
    case "list":
      return text.split(/[\s,]+/).filter(Boolean);
    case "number":
      return asNumber(text);
    case "yes":
      return text === "yes";
    default:
      return text.trim();
  }
}

/** A file that the page shows; as a template it gets another name and stays as it is. */
export interface OpenedFile extends LegFile {
  asTemplate: boolean;
  /** Counts the openings: each begins with what the file says. */
  turn: number;
}

/** Puts the keyboard into the first field that is wrong. */
const showFirstWrong = (): void => document.querySelector<HTMLElement>("main [aria-invalid=true]")?.focus();

interface Props {
  files: Answer<LegFileRow[]>;
  underlying: string;
  legs: readonly Leg[];
  /** The word of a file for the expiry that is shown. */
  expiry: string;
  /** Multiplies the lots; null while it is no such number. */
  times: number | null;
  /** Why these legs cannot be written; empty if they can. */
  problem: string;
  opened: OpenedFile | null;
  onOpen: (name: string) => Promise<void>;
  /** The legs are others than they were opened or begun. */
  edited: boolean;
  leaving: Leaving;
  onUnsaved: (unsaved: boolean) => void;
  wrong: Mistakes;
  onWrong: (change: (before: Mistakes) => Mistakes) => void;
}

export function LegSaving(props: Props) {
  const mayAct = useRole("trader");
  const { files, opened } = props;
  const before = Object.fromEntries(PLACED.map((key) => [key, opened ? shown(opened.values, key) : ""]));
  const [name, setName] = useState(opened && !opened.asTemplate ? opened.name : "");
  const [begun] = useState<Readonly<Record<string, string>>>(opened ? before : NEW);
  const [form, setForm] = useState(begun);
  const [version, setVersion] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [result, setResult] = useState<LegDraftResult | null>(null);
  const ofFile = opened !== null && opened.name === name;
  const was: Readonly<Record<string, string>> = opened ? before : {};
  const changes = Object.fromEntries(PLACED.filter((key) => (form[key] ?? "") !== (was[key] ?? "")).map((key) => [key, sent(form[key] ?? "", key)]));
  const retargeted = opened === null || underlyingOf(opened) !== props.underlying;
  const values = version ? {} : { ...changes, ...(retargeted ? { underlying: props.underlying } : {}), legs: props.legs.map((leg) => sentLeg(leg, props.expiry, props.times ?? 1)) };
  const asked = JSON.stringify([name, version, values]);
  const newest = useRef(asked);
  newest.current = asked;
  useEffect(() => setResult(null), [asked]);
  useEffect(() => {
    if (result?.problems.length) showFirstWrong();
  }, [result]);

  const unsaved = mayAct && (props.edited || (opened !== null && retargeted) || PLACED.some((key) => (form[key] ?? "") !== (begun[key] ?? "")));
  useEffect(() => props.onUnsaved(unsaved), [unsaved]);

  const ids = props.legs.map((leg) => leg.id);
  const typed = typedMistakes(form, props.legs);
  const mistyped = version ? "" : toldOf(typed, ids);
  const wrong = together(typed, props.wrong);
  const told = toldOf(wrong, ids);

  async function send(save: boolean): Promise<LegDraftResult | null> {
    if (mistyped) {
      showFirstWrong();
      return null;
    }
    setBusy(true);
    setError(null);
    const body: LegDraft = { values, version, source: ofFile ? "" : (opened?.name ?? ""), expected: opened?.digest ?? "", save };
    try {
      const made = await post<LegDraftResult>(`/api/legs/${encodeURIComponent(name)}`, body);
      if (made.saved) {
        toast("good", `${made.file} is written. It runs once ENABLED_STRATEGIES names it, from the next start on.`);
        files.again();
        await props.onOpen(made.name);
      }
      if (!made.saved && newest.current !== asked) return null; // an answer to what was changed meanwhile
      setResult(made);
      const found = byField(made.problems, version ? [] : ids);
      props.onWrong(() => found);
      return made;
    } catch (failure) {
      setError(failure);
      return null;
    } finally {
      setBusy(false);
    }
  }

  /** Saves before something else takes the place of the legs; what is wrong stays, with its fields marked. */
  async function saveAndGo() {
    const checked = await send(false);
    const saved = checked !== null && !checked.problems.length && (!checked.diff.length || ((await send(true))?.saved ?? false));
    if (saved) props.leaving.go();
    else props.leaving.stay();
  }

  const badName = name && !/^[A-Za-z][A-Za-z0-9_]*$/.test(name) ? `expected letters, digits and _ behind a letter, found ${name}` : null;
  const unusable = !name ? "it has no name yet" : badName ? `its name: ${badName}` : version === "" ? props.problem : "";
  const field = (key: PlacedKey, hint = true) => {
    const same = {
      value: form[key] ?? "",
      wrong: wrong.file[key],
      onChange: (value: string) => {
        setForm({ ...form, [key]: value });
        props.onWrong((now) => afterChange(now, [key]));
      },
    };
    return key === "accounts" ? <AccountChoice key={key} was={was.accounts ?? ""} {...same} /> : <KeyField key={key} path={key} of={FILE_KEYS[key]} name={PLACES[key][1]} hint={hint} {...same} />;
  };
  const section = (name: string) => {
    const keys = PLACED.filter((key) => PLACES[key][0] === name);
    const set = keys.filter((key) => form[key]).length;
    if (name === SECTIONS.at(-1) && !keys.some((key) => was[key])) return null;
    return <Section key={name} name={name} set={set} bad={keys.filter((key) => wrong.file[key]).length}>{keys.map((key) => field(key))}</Section>;
  };
  return (
    <Card title="As a strategy">
      {!mayAct && <p className="note">{READ_ONLY}</p>}
      <fieldset className="plain" disabled={!mayAct} title={mayAct ? undefined : READ_ONLY}>
      <div className="form">
        <Field label="Open">
          <select value="" onChange={(event) => ((name) => props.leaving.ask(() => void props.onOpen(name)))(event.target.value)}>
            <option value="">a file of legs…</option>
            {files.data?.map((row) => <option key={row.name} value={row.name}>{row.name}</option>)}
          </select>
        </Field>
        <Field label="Name" error={badName ?? wrong.file.name}><input name="name" value={name} maxLength={64} placeholder="My_Condor" onChange={(event) => setName(event.target.value)} /></Field>
        {PLACED.filter((key) => PLACES[key][0] === "").map((key) => field(key, false))}
        {ofFile && opened.versions.length > 0 && (
          <Field label="Version">
            <select value={version} disabled={unsaved} title={unsaved ? "Save what you changed first, or open the file again to drop it" : undefined} onChange={(event) => setVersion(event.target.value)}>
              <option value="">the legs above</option>
              {opened.versions.map((one) => <option key={one} value={one}>{versionName(one)}</option>)}
            </select>
          </Field>
        )}
      </div>
      {SECTIONS.slice(1).map(section)}
      <div className="row">
        <button type="button" disabled={busy || unusable !== ""} onClick={() => void send(false)}>Check</button>
        <button type="button" className="primary" disabled={busy || mistyped !== "" || !result || result.problems.length > 0 || !result.diff.length || result.saved} onClick={() => void send(true)}>Save</button>
        {opened && !ofFile && <span className="muted small">{name ? "" : "give it a name: "}a copy of {opened.name}, of its own from then on</span>}
        {!mayAct && ["Backtest this", "Run on paper"].map((what) => <button key={what} type="button" disabled>{what}</button>)}
        {ofFile && <To href={`/reports?strategy=${encodeURIComponent(name)}`}>Backtest this</To>}
      </div>
      <PaperTrial strategy={ofFile ? name : ""} unsaved={unsaved} />
      </fieldset>
      {props.leaving.waits && (
        <Dialog title="Unsaved changes" onClose={props.leaving.stay}>
          <form onSubmit={(event) => event.preventDefault()}>
            <p>{ofFile ? `What you changed of ${name} is` : "These legs are"} not saved. What comes next takes their place.</p>
            {(unusable || mistyped) && <p className="warn small">They cannot be saved so: {unusable || mistyped}.</p>}
            <footer>
              <button type="button" onClick={props.leaving.stay} data-focus>Stay</button>
              <button type="button" className="danger" disabled={busy} onClick={props.leaving.go}>Discard</button>
              <button type="button" className="primary" disabled={busy || (unusable || mistyped) !== ""} onClick={() => void saveAndGo()}>Save</button>
            </footer>
          </form>
        </Dialog>
      )}
      {props.problem && version === "" && <p className="warn small">{props.problem}</p>}
      <ErrorNote error={error} />
      {(told || wrong.other.length > 0) && (
        <div className="note bad" role="alert">{[...(told ? [told] : []), ...wrong.other].map((text) => <div key={text}>{text}</div>)}</div>
      )}
      {result && [...result.notes, ...result.guards, ...result.changes].map((text) => <p key={text} className="muted small">{text}</p>)}
      {result && !result.diff.length && <p className="muted">The file says this already.</p>}
      {result && <Diff lines={result.diff} label={`Changes of ${result.file}`} />}
    </Card>
  );
}

/** Keys of one kind, closed until they are wanted or one of them is wrong. */
function Section(props: { name: string; set: number; bad: number; children: ReactNode }) {
  const place = useRef<HTMLDetailsElement>(null);
  useLayoutEffect(() => {
    if (props.bad && place.current) place.current.open = true;
  }, [props.bad]);
  return (
    <details ref={place}>
      <summary>
        {props.name} {props.set > 0 && <Badge>{props.set} set</Badge>} {props.bad > 0 && <Badge tone="bad">{props.bad} wrong</Badge>}
      </summary>
      <div className="form">{props.children}</div>
    </details>
  );
}
