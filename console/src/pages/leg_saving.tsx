/** Saves the builder's legs as a strategy without code: checked by field, compared with the file, kept in versions. */
import { useEffect, useState } from "react";
import { Link as To } from "wouter";
import { ApiFailure, get, post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { LegDraft, LegDraftResult, LegFile, LegFileRow } from "../generated/api";
import { Card, ErrorNote, Field } from "../ui/parts";
import { toast } from "../ui/toast";

/** A leg as the file has it: the keys that the builder knows; others of the file stay. */
export type FileLeg = Record<string, string | number | null>;

const EXPIRIES = ["nearest", "next", "monthly", "next_monthly"];

export function LegSaving(props: { underlying: string; expiry: string; legs: readonly FileLeg[]; onLoad: (values: Record<string, unknown>) => void }) {
  const mayAct = useRole("trader");
  const files = useAnswer<LegFileRow[]>("/api/legs");
  const [name, setName] = useState("");
  const [seen, setSeen] = useState<LegFile | null>(null);
  const [entry, setEntry] = useState("09:20");
  const [exit, setExit] = useState("15:10");
  const [product, setProduct] = useState("MIS");
  const [stop, setStop] = useState("100%");
  const [expiry, setExpiry] = useState(props.expiry);
  const [version, setVersion] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [result, setResult] = useState<LegDraftResult | null>(null);
  const known = files.data?.find((row) => row.name === name);
  const written = JSON.stringify([props.legs, entry, exit, product, stop, expiry, version, name]);
  useEffect(() => setResult(null), [written]);

  async function load(row: LegFileRow) {
    setError(null);
    try {
      const found = await get<LegFile>(`/api/legs/${encodeURIComponent(row.name)}`);
      setSeen(found);
      setVersion("");
      const text = (key: string, usual: string): string => (typeof found.values[key] === "string" ? (found.values[key] as string).slice(0, 5) : usual);
      setEntry(text("entry_time", "09:20"));
      setExit(text("exit_time", "15:10"));
      setProduct(text("product", "MIS"));
      props.onLoad(found.values);
    } catch (failure) {
      setError(failure);
    }
  }

  async function send(save: boolean) {
    setBusy(true);
    setError(null);
    const legs = props.legs.map((leg) => ({ ...leg, expiry, ...(leg.action === "SELL" && stop ? { stop } : {}) }));
    const values = version ? {} : { underlying: props.underlying, product, entry_time: entry, exit_time: exit || null, legs };
    const body: LegDraft = { values, version, expected: known && seen?.name === name ? seen.digest : "", save };
    try {
      const made = await post<LegDraftResult>(`/api/legs/${encodeURIComponent(name)}`, body);
      setResult(made);
      if (made.saved) {
        toast("good", `${made.file} is written. It runs once ENABLED_STRATEGIES names it, from the next start on.`);
        setSeen({ ...made, values: {} });
        files.again();
      }
    } catch (failure) {
      setError(failure instanceof ApiFailure && failure.code === "MOVED" ? `${failure.message}: open the file again` : failure);
    } finally {
      setBusy(false);
    }
  }

  if (!mayAct) return null;
  const wrong = (field: string): string | undefined => result?.problems.find((one) => one.field === field)?.text;
  const usable = /^[A-Za-z][A-Za-z0-9_]*$/.test(name) && (version !== "" || props.legs.length > 0);
  return (
    <Card title="As a strategy">
      <div className="form">
        <Field label="Open">
          <select
            value=""
            onChange={(event) => {
              const row = files.data?.find((one) => one.name === event.target.value);
              if (row) {
                setName(row.name);
                void load(row);
              }
            }}
          >
            <option value="">a file of legs…</option>
            {files.data?.map((row) => <option key={row.name} value={row.name}>{row.name}</option>)}
          </select>
        </Field>
        <Field label="Name" error={wrong("name")}><input value={name} maxLength={64} placeholder="My_Condor" onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Entry" error={wrong("entry_time")}><input type="time" value={entry} onChange={(event) => setEntry(event.target.value)} /></Field>
        <Field label="Exit" error={wrong("exit_time")}><input type="time" value={exit} onChange={(event) => setExit(event.target.value)} /></Field>
        <Field label="Expiry" error={wrong("legs[1].expiry")}>
          <select value={expiry} onChange={(event) => setExpiry(event.target.value)}>{EXPIRIES.map((one) => <option key={one}>{one}</option>)}</select>
        </Field>
        <Field label="Product" error={wrong("product")}>
          <select value={product} onChange={(event) => setProduct(event.target.value)}>{["MIS", "NRML"].map((one) => <option key={one}>{one}</option>)}</select>
        </Field>
        <Field label="Stop of sold legs"><input value={stop} maxLength={30} placeholder="100% or 20 points" onChange={(event) => setStop(event.target.value)} /></Field>
        {seen?.name === name && seen.versions.length > 0 && (
          <Field label="Version">
            <select value={version} onChange={(event) => setVersion(event.target.value)}>
              <option value="">the legs above</option>
              {seen.versions.map((one) => <option key={one}>{one}</option>)}
            </select>
          </Field>
        )}
        <div className="row">
          <button type="button" disabled={busy || !usable} onClick={() => void send(false)}>Check</button>
          <button type="button" className="primary" disabled={busy || !result || result.problems.length > 0 || !result.diff.length || result.saved} onClick={() => void send(true)}>Save</button>
          {known && <To href={`/reports?strategy=${encodeURIComponent(known.name)}`}>Backtest this</To>}
        </div>
      </div>
      <ErrorNote error={files.error ?? error} />
      {result && result.problems.length > 0 && (
        <div className="note bad" role="alert">{result.problems.map((one) => <div key={one.text}>{one.line ? `line ${one.line}: ` : ""}{one.text}</div>)}</div>
      )}
      {result && [...result.notes, ...result.guards, ...result.changes].map((text) => <p key={text} className="muted small">{text}</p>)}
      {result && !result.diff.length && <p className="muted">The file says this already.</p>}
      {result && result.diff.length > 0 && <pre className="diff" aria-label={`Changes of ${result.file}`}>{result.diff.map((line, at) => <span key={at} className={line.startsWith("+") ? "gain" : line.startsWith("-") ? "loss" : "muted"}>{`${line}\n`}</span>)}</pre>}
    </Card>
  );
}
