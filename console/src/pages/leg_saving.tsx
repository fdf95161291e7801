/** Saves the builder's legs as a strategy without code: checked by field, compared with the file, kept in versions. */
import { useEffect, useState } from "react";
import { Link as To } from "wouter";
import { ApiFailure, get, post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { LegDraft, LegDraftResult, LegFile, LegFileRow } from "../generated/api";
import { Card, Diff, ErrorNote, Field } from "../ui/parts";
import { toast } from "../ui/toast";
import { type Leg, sentLeg } from "./builder_legs";
import { PaperTrial } from "./paper_trial";

interface FileKey {
  key: string;
  name: string;
  kind: "time" | "text" | "number" | "list" | readonly string[];
  hint?: string;
}

/** The keys of a file that the page shows, the first few always. */
const KEYS: readonly FileKey[] = [
  { key: "entry_time", name: "Entry", kind: "time" },
  { key: "exit_time", name: "Exit", kind: "time" },
  { key: "product", name: "Product", kind: ["MIS", "NRML"] },
  { key: "accounts", name: "Accounts", kind: "list", hint: "the primary one" },
  { key: "days", name: "Days", kind: ["", "any", "expiry", "non_expiry"] },
  { key: "when", name: "Condition", kind: "text", hint: "close above SMA(20)" },
  { key: "entry_minutes", name: "Entry window, minutes", kind: "number", hint: "15" },
  { key: "square_off_time", name: "Flat by", kind: "time" },
  { key: "range", name: "Range breakout", kind: "text", hint: "09:15-09:45" },
  { key: "breakout", name: "Side of the range", kind: ["", "either", "above", "below"] },
  { key: "risk_max_loss", name: "Run closes at a loss of ₹", kind: "number", hint: "none" },
  { key: "risk_max_profit", name: "Run closes at a profit of ₹", kind: "number", hint: "none" },
  { key: "risk_trailing", name: "Trailing stop of the run", kind: "number", hint: "none" },
  { key: "risk_stop_to_cost_profit", name: "Stops to cost at a profit of ₹", kind: "number", hint: "none" },
  { key: "max_daily_loss", name: "Loss of a day ₹", kind: "number", hint: "none" },
];
const ALWAYS = 4;
const NEW: Record<string, string> = { entry_time: "09:20", exit_time: "15:10", product: "MIS" };

/** What a file says of a key, as the page's field has it. */
function shown(values: Record<string, unknown>, { key, kind }: FileKey): string {
  const risk = values.risk as Record<string, unknown> | undefined;
  const value = values[key] ?? (key.startsWith("risk_") ? risk?.[key.slice(5)] : undefined);
  if (value === undefined || value === null) return "";
  if (kind === "time") return String(value).slice(0, 5);
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** What a field says, as the file has it; null takes the key out. */
function sent(text: string, kind: FileKey["kind"]): unknown {
  if (text.trim() === "") return null;
  if (kind === "list") return text.split(/[\s,]+/).filter(Boolean);
  return kind === "number" ? Number(text) : text.trim();
}

interface Props {
  underlying: string;
  legs: readonly Leg[];
  /** The word of a file for the expiry that is shown. */
  expiry: string;
  /** Multiplies the lots. */
  times: number;
  /** Why these legs cannot be written; empty if they can. */
  problem: string;
  opened: LegFile | null;
  onOpen: (file: LegFile) => void;
}

export function LegSaving(props: Props) {
  const mayAct = useRole("trader");
  const files = useAnswer<LegFileRow[]>("/api/legs");
  const { opened } = props;
  const before = Object.fromEntries(KEYS.map((one) => [one.key, opened ? shown(opened.values, one) : ""]));
  const [name, setName] = useState(opened?.name ?? "");
  const [form, setForm] = useState<Record<string, string>>(opened ? before : NEW);
  const [version, setVersion] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [result, setResult] = useState<LegDraftResult | null>(null);
  const ofFile = opened !== null && opened.name === name;
  const was = opened ? before : {};
  const changes = Object.fromEntries(KEYS.filter((one) => (form[one.key] ?? "") !== (was[one.key] ?? "")).map((one) => [one.key, sent(form[one.key] ?? "", one.kind)]));
  const retargeted = String(opened?.values.underlying ?? "").toUpperCase().replace(/^.*:/, "") !== props.underlying;
  const values = version ? {} : { ...changes, ...(retargeted ? { underlying: props.underlying } : {}), legs: props.legs.map((leg) => sentLeg(leg, props.expiry, props.times)) };
  const asked = JSON.stringify([name, version, values]);
  useEffect(() => setResult(null), [asked]);

  async function open(row: LegFileRow) {
    setError(null);
    try {
      props.onOpen(await get<LegFile>(`/api/legs/${encodeURIComponent(row.name)}`));
    } catch (failure) {
      setError(failure);
    }
  }

  async function send(save: boolean) {
    setBusy(true);
    setError(null);
    const body: LegDraft = { values, version, source: ofFile ? "" : (opened?.name ?? ""), expected: opened?.digest ?? "", save };
    try {
      const made = await post<LegDraftResult>(`/api/legs/${encodeURIComponent(name)}`, body);
      if (made.saved) {
        toast("good", `${made.file} is written. It runs once ENABLED_STRATEGIES names it, from the next start on.`);
        files.again();
        await open({ name: made.name, file: made.file, legs: props.legs.length });
      }
      setResult(made);
    } catch (failure) {
      setError(failure instanceof ApiFailure && failure.code === "MOVED" && ofFile ? `${failure.message}: open the file again` : failure);
    } finally {
      setBusy(false);
    }
  }

  if (!mayAct) return null;
  const wrong = (key: string): string | undefined => result?.problems.find((one) => one.field === key || one.field === key.replace("risk_", "risk."))?.text;
  const usable = /^[A-Za-z][A-Za-z0-9_]*$/.test(name) && (version !== "" || !props.problem);
  const field = (one: FileKey) => {
    const change = (value: string) => setForm({ ...form, [one.key]: value });
    const value = form[one.key] ?? "";
    return (
      <Field key={one.key} label={one.name} error={wrong(one.key)}>
        {Array.isArray(one.kind) ? (
          <select value={value} onChange={(event) => change(event.target.value)}>{one.kind.map((word) => <option key={word} value={word}>{word || "usual"}</option>)}</select>
        ) : (
          <input type={one.kind === "time" || one.kind === "number" ? one.kind : "text"} min={0} step="any" maxLength={200} placeholder={one.hint} value={value} onChange={(event) => change(event.target.value)} />
        )}
      </Field>
    );
  };
  return (
    <Card title="As a strategy">
      <div className="form">
        <Field label="Open">
          <select
            value=""
            onChange={(event) => {
              const row = files.data?.find((one) => one.name === event.target.value);
              if (row) void open(row);
            }}
          >
            <option value="">a file of legs…</option>
            {files.data?.map((row) => <option key={row.name} value={row.name}>{row.name}</option>)}
          </select>
        </Field>
        <Field label="Name" error={wrong("name")}><input value={name} maxLength={64} placeholder="My_Condor" onChange={(event) => setName(event.target.value)} /></Field>
        {KEYS.slice(0, ALWAYS).map(field)}
        {ofFile && opened.versions.length > 0 && (
          <Field label="Version">
            <select value={version} onChange={(event) => setVersion(event.target.value)}>
              <option value="">the legs above</option>
              {opened.versions.map((one) => <option key={one}>{one}</option>)}
            </select>
          </Field>
        )}
      </div>
      <details>
        <summary>Days, conditions, exits of the whole</summary>
        <div className="form">{KEYS.slice(ALWAYS).map(field)}</div>
      </details>
      <div className="row">
        <button type="button" disabled={busy || !usable} onClick={() => void send(false)}>Check</button>
        <button type="button" className="primary" disabled={busy || !result || result.problems.length > 0 || !result.diff.length || result.saved} onClick={() => void send(true)}>Save</button>
        {opened && !ofFile && <span className="muted small">a copy of {opened.name}, of its own from then on</span>}
        {ofFile && <To href={`/reports?strategy=${encodeURIComponent(name)}`}>Backtest this</To>}
      </div>
      <PaperTrial strategy={ofFile ? name : ""} />
      {props.problem && version === "" && <p className="warn small">{props.problem}</p>}
      <ErrorNote error={files.error ?? error} />
      {result && result.problems.length > 0 && (
        <div className="note bad" role="alert">{result.problems.map((one) => <div key={one.text}>{one.line ? `line ${one.line}: ` : ""}{one.text}</div>)}</div>
      )}
      {result && [...result.notes, ...result.guards, ...result.changes].map((text) => <p key={text} className="muted small">{text}</p>)}
      {result && !result.diff.length && <p className="muted">The file says this already.</p>}
      {result && <Diff lines={result.diff} label={`Changes of ${result.file}`} />}
    </Card>
  );
}
