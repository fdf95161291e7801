/** Parameters of a strategy as it runs, and the form that changes them in its file: checked, compared, saved. */
import { useEffect, useRef, useState } from "react";
import { Link as To } from "wouter";
import { ApiFailure, post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { ParameterDraft, ParameterDraftResult, ParameterFile, RunningLegs, StrategyRow } from "../generated/api";
import { version as versionName } from "../ui/format";
import { Card, Diff, ErrorNote, Field, Figure, Figures } from "../ui/parts";
import { toast } from "../ui/toast";
import { parseNumber, readNumber } from "../ui/typed";
import { changes, keyRows, legLines } from "./leg_keys_shown";

type Value = string | number | boolean | null;

const text = (value: unknown): string => (typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? ""));

/** A field's text as the file has it: of the kind that the running value has. */
function sent(typed: string, running: unknown): Value {
  if (typed.trim() === "") return null;
  if (typeof running === "boolean") return typed === "true";
  return (typeof running === "number" ? parseNumber(typed) : null) ?? typed.trim();
}

/** What is wrong with a field's text by itself; empty if nothing is. */
const problemOf = (typed: string, running: unknown): string => (typeof running === "number" ? readNumber(typed, { empty: 0 }).problem : "");

export function Parameters({ row }: { row: StrategyRow }) {
  const trader = useRole("trader");
  const [open, setOpen] = useState(false);
  const names = Object.keys(row.parameters);
  if (row.kind === "legs") return <LegParameters name={row.name} />;
  const editable = trader && row.kind === "code" && row.state !== "GONE" && names.length > 0;
  return (
    <Card
      title="Parameters"
      actions={
        editable && <button type="button" className="small" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Close" : "Change"}</button>
      }
    >
      {!names.length && <p className="muted">None.</p>}
      <Figures>
        {names.map((name) => (
          <Figure key={name} name={name}>{text(row.parameters[name])}</Figure>
        ))}
      </Figures>
      {open && editable && <Form row={row} names={names} />}
    </Card>
  );
}

/** The keys of the file of a strategy of legs as it runs, read-only, and what the file says otherwise now. */
function LegParameters({ name }: { name: string }) {
  const answer = useAnswer<RunningLegs>(`/api/strategies/${encodeURIComponent(name)}/legs`);
  const found = answer.data;
  return (
    <Card title="Parameters" actions={<To href={`/builder?file=${encodeURIComponent(name)}`}>Open in the builder</To>}>
      <ErrorNote error={answer.error} />
      {found && (
        <div className="stack">
          {!found.file && <p className="warn small" role="status">Its file is not there any more: it does not run after the next start of the stack.</p>}
          {found.file && found.changed.length > 0 && (
            <p className="warn small" role="status">File changed; takes effect from the next start of the stack: {changes(found).join("; ")}.</p>
          )}
          <ol className="list">
            {legLines(found.running).map((line, index) => <li key={`${index}${line}`}>{line}</li>)}
          </ol>
          <Figures>
            {keyRows(found.running).map(([label, value]) => <Figure key={label} name={label}>{value}</Figure>)}
          </Figures>
        </div>
      )}
    </Card>
  );
}

function Form({ row, names }: { row: StrategyRow; names: readonly string[] }) {
  const path = `/api/strategies/${encodeURIComponent(row.name)}/parameters`;
  const answer = useAnswer<ParameterFile>(path);
  const file = answer.data;
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [version, setVersion] = useState("");
  const [busy, setBusy] = useState<"" | "check" | "save">("");
  const [error, setError] = useState<unknown>(null);
  const [result, setResult] = useState<ParameterDraftResult | null>(null);
  const inFile = (name: string): string => text(file?.values[name]);
  const changed = names.filter((name) => (typed[name] ?? inFile(name)) !== inFile(name));
  const values: Record<string, Value> = version ? {} : Object.fromEntries(changed.map((name) => [name, sent(typed[name] ?? "", row.parameters[name])]));
  const asked = JSON.stringify([version, values]);
  const newest = useRef(asked);
  newest.current = asked;
  useEffect(() => setResult(null), [asked]);
  if (!file) return <ErrorNote error={answer.error} />;
  const { digest } = file;
  const waiting = names.filter((name) => name in file.values && text(file.values[name]) !== text(row.parameters[name]));
  const mistaken = !version && changed.some((name) => problemOf(typed[name] ?? "", row.parameters[name]));
  const wrong = (name: string): string | undefined => result?.problems.find((one) => one.field === `parameters.${name}`)?.text;

  async function send(save: boolean) {
    setBusy(save ? "save" : "check");
    setError(null);
    const body: ParameterDraft = { values, version, expected: digest, save };
    try {
      const made = await post<ParameterDraftResult>(path, body);
      if (made.saved) {
        toast("good", `${made.file} is written. It counts from the next start of the stack on.`);
        setTyped({});
        setVersion("");
        answer.again();
      }
      if (made.saved || newest.current === asked) setResult(made);
    } catch (failure) {
      setError(failure instanceof ApiFailure && failure.code === "MOVED" ? `${failure.message}: close and open the form` : failure);
    } finally {
      setBusy("");
    }
  }

  return (
    <div className="stack">
      <div className="form">
        {names.map((name) => {
          const change = (value: string) => setTyped({ ...typed, [name]: value });
          const [value, running] = [typed[name] ?? inFile(name), row.parameters[name]];
          const problem = (changed.includes(name) && problemOf(value, running)) || wrong(name);
          return (
            <Field key={name} label={name} error={problem}>
              {typeof running === "boolean" ? (
                <select value={value} disabled={version !== "" || busy === "save"} onChange={(event) => change(event.target.value)}>
                  {["", "true", "false"].map((word) => <option key={word} value={word}>{word || "default"}</option>)}
                </select>
              ) : (
                <input value={value} maxLength={200} disabled={version !== ""} readOnly={busy === "save"} aria-invalid={problem ? true : undefined} inputMode={typeof running === "number" ? "decimal" : "text"} placeholder="default" onChange={(event) => change(event.target.value)} />
              )}
            </Field>
          );
        })}
        {file.versions.length > 0 && (
          <Field label="Version">
            <select value={version} disabled={busy === "save"} onChange={(event) => setVersion(event.target.value)}>
              <option value="">the values above</option>
              {file.versions.map((one) => <option key={one} value={one}>{versionName(one)}</option>)}
            </select>
          </Field>
        )}
      </div>
      <div className="row">
        <button type="button" disabled={busy !== "" || mistaken || (!version && !changed.length)} onClick={() => void send(false)}>Check</button>
        <button type="button" className="primary" disabled={busy !== "" || !result || result.problems.length > 0 || !result.diff.length || result.saved} onClick={() => void send(true)}>Save</button>
        <span className="muted small">An empty field takes the default. What runs keeps its values until the next start of the stack.</span>
      </div>
      {waiting.length > 0 && <p className="warn small">Other values in the file than in what runs, from the next start on: {waiting.join(", ")}.</p>}
      <ErrorNote error={answer.error ?? error} />
      {result && result.problems.length > 0 && (
        <div className="note bad" role="alert">{result.problems.map((one) => <div key={one.text}>{one.line ? `line ${one.line}: ` : ""}{one.text}</div>)}</div>
      )}
      {result?.notes.map((one) => <p key={one} className="warn small">{one}</p>)}
      {result && !result.diff.length && <p className="muted">The file says this already.</p>}
      {result && <Diff lines={result.diff} label={`Changes of ${result.file}`} />}
    </div>
  );
}
