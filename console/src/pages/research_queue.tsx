/** Runs over history: asked for here, worked off one at a time at the lowest priority, cancelled. */
import { type FormEvent, useState } from "react";
import { Link as To } from "wouter";
import { ApiFailure, post, requestId } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { ResearchJob, ResearchRequest } from "../generated/api";
import { useTopic } from "../live/hooks";
import { takeParameters } from "../shell/parameters";
import { moment } from "../ui/format";
import { Badge, Card, ErrorNote, Field, Share, type Tone } from "../ui/parts";
import { NumberField, useNumber } from "../ui/typed_field";

const TONES: Record<string, Tone> = { waiting: "", running: "info", done: "good", failed: "bad", cancelled: "care", interrupted: "care" };
const KINDS: Record<ResearchRequest["kind"], string> = { backtest: "Backtest", optimize: "Optimise parameters", "walk-forward": "Walk forward", check: "Check for faults", parity: "Live against backtest" };
const DAYS = { whole: true, least: 1, most: 5000 };
const DATA = ["openalgo", "store"];
const OPTIONS = ["model", "store"];
const list = (text: string): string[] => text.split(/[\s;]+/).filter(Boolean);

export function ResearchQueue(props: { onEnded: () => void }) {
  const mayAct = useRole("trader");
  const [everyMs, setEveryMs] = useState(2000);
  const answer = useAnswer<ResearchJob[]>("/api/research", {}, everyMs);
  const [error, setError] = useState<unknown>(null);
  const jobs = answer.data ?? [];
  const wanted = jobs.some((job) => job.ended_wall_ms === null) ? 2000 : 0;
  if (wanted !== everyMs && answer.data) {
    setEveryMs(wanted);
    if (!wanted) props.onEnded();
  }
  const again = () => {
    setEveryMs(2000);
    answer.again();
  };
  async function change(path: string, body?: ResearchRequest) {
    try {
      await post(path, body);
      setError(null);
    } catch (failure) {
      setError(failure);
    }
    again();
  }
  return (
    <>
      {mayAct && <NewRun onQueued={again} />}
      <ErrorNote error={answer.error ?? error} />
      {jobs.length > 0 && (
        <Card title="Runs" plain>
          <ul className="list">
            {jobs.map((job) => (
              <li key={job.id}>
                <Badge tone={TONES[job.state] ?? ""}>{job.state}</Badge>
                <span className="strong">{job.has_report ? <To href={`/reports/${encodeURIComponent(job.report)}`}>{`${job.kind} ${job.strategy}`}</To> : `${job.kind} ${job.strategy}`}</span>
                <span className="grow muted small" title={job.asked}>{job.error || job.progress || job.asked}</span>
                {job.state === "running" && <span className="share"><Share value={job.share} label={`Progress of ${job.kind} ${job.strategy}`} /></span>}
                <span className="muted small">{job.by}, {moment(job.ended_wall_ms ?? job.began_wall_ms ?? job.asked_wall_ms)}</span>
                {mayAct && job.ended_wall_ms === null && <button type="button" className="small" onClick={() => void change(`/api/research/${encodeURIComponent(job.id)}/cancel`)}>Cancel</button>}
                {mayAct && job.ended_wall_ms !== null && job.state !== "done" && <button type="button" className="small" onClick={() => void change("/api/research", { ...job.request, request_id: requestId() })}>Queue again</button>}
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

function NewRun(props: { onQueued: () => void }) {
  const strategies = useTopic("strategies").rows;
  const [kind, setKind] = useState<ResearchRequest["kind"]>("backtest");
  const [strategy, setStrategy] = useState(() => takeParameters().get("strategy") ?? "");
  const [data, setData] = useState("openalgo");
  const [first, setFirst] = useState("");
  const [last, setLast] = useState("");
  const [instrument, setInstrument] = useState("");
  const [options, setOptions] = useState("model");
  const [parameters, setParameters] = useState("");
  const trials = useNumber("100", { whole: true, least: 1, most: 1_000_000 });
  const trainDays = useNumber("60", DAYS);
  const testDays = useNumber("20", DAYS);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const walks = kind === "walk-forward";
  const searches = kind === "optimize" || walks;
  const wrong = (field: string): string | null => (error instanceof ApiFailure && error.body.field === field ? error.message : null);

  async function queue(event: FormEvent) {
    event.preventDefault();
    const [most, train, test] = [searches ? trials.value : 0, walks ? trainDays.value : 0, walks ? testDays.value : 0];
    if (most === null || train === null || test === null) return;
    setBusy(true);
    setError(null);
    const body: ResearchRequest = {
      request_id: requestId(), kind, strategy, data: list(data), first, last, instrument, options: list(options), parameters: list(parameters),
      trials: most, train_days: train, test_days: test,
    };
    try {
      await post("/api/research", body);
      props.onQueued();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Card title="New run">
      <form className="form" onSubmit={queue}>
        <Field label="What">
          <select value={kind} onChange={(event) => setKind(event.target.value as ResearchRequest["kind"])}>
            {Object.entries(KINDS).map(([word, name]) => <option key={word} value={word}>{name}</option>)}
          </select>
        </Field>
        <Field label="Strategy" error={wrong("strategy")}>
          <input required list="research-strategies" value={strategy} onChange={(event) => setStrategy(event.target.value.trim())} />
        </Field>
        <datalist id="research-strategies">{strategies.map((row) => <option key={row.name} value={row.name} />)}</datalist>
        <datalist id="research-data">{DATA.map((word) => <option key={word} value={word} />)}</datalist>
        <datalist id="research-options">{OPTIONS.map((word) => <option key={word} value={word} />)}</datalist>
        {kind !== "parity" && <Field label="Data: openalgo (the server), store, or files of the project" error={wrong("data")}><input required list="research-data" value={data} onChange={(event) => setData(event.target.value)} /></Field>}
        {kind !== "parity" && <Field label="Option prices: model, store, files, or none" error={wrong("options")}><input list="research-options" value={options} onChange={(event) => setOptions(event.target.value)} /></Field>}
        {kind !== "parity" && <Field label="Instrument"><input placeholder="as the strategy's" value={instrument} onChange={(event) => setInstrument(event.target.value.trim())} /></Field>}
        <Field label={kind === "parity" ? "Day (empty: the newest)" : "From"}><input type="date" value={first} onChange={(event) => setFirst(event.target.value)} /></Field>
        {kind !== "parity" && <Field label="To"><input type="date" value={last} onChange={(event) => setLast(event.target.value)} /></Field>}
        {kind !== "parity" && <Field label={searches ? "Values: fast_period=5:30:5 slow_period=40,60" : "Parameters: fast_period=10 …"} error={wrong("parameters")} wide>
          <input required={searches} value={parameters} onChange={(event) => setParameters(event.target.value)} />
        </Field>}
        {searches && <NumberField label="Trials" of={trials} />}
        {walks && <NumberField label="Days to choose on" of={trainDays} />}
        {walks && <NumberField label="Days to judge on" of={testDays} />}
        <div className="row"><button type="submit" className="primary" disabled={busy}>{busy ? "Asking…" : "Queue"}</button><span className="muted small">runs one at a time, beside trading, at the lowest priority</span></div>
      </form>
      <ErrorNote error={error} />
    </Card>
  );
}
