/** A webhook: its mappings and texts; changes of mode, window and square-off, mappings as CSV, its lock and its end. */
import { type FormEvent, useState } from "react";
import { post } from "../api/client";
import { useAnswer } from "../api/hooks";
import type { WebhookChange, WebhookChanged, WebhookMapping, WebhookRow, WebhookView } from "../generated/api";
import { number, symbol } from "../ui/format";
import { Card, ErrorNote, Field } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { toast } from "../ui/toast";
import { timeProblem, windowProblem } from "../ui/typed";
import { TimeField } from "../ui/typed_field";
import { CsvProblems, RotateDialog } from "./webhook_address";

export function WebhookForm(props: { row: WebhookRow; onChanged: (mappings: boolean) => void }) {
  const { row } = props;
  const [mode, setMode] = useState("");
  const [window, setWindow] = useState("");
  const [squareOff, setSquareOff] = useState("");
  const [csv, setCsv] = useState("");
  const [maps, setMaps] = useState("");
  const [rotating, setRotating] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [removing, setRemoving] = useState(false);
  const [rows, setRows] = useState<WebhookChanged["rows"]>([]);

  async function send(body: WebhookChange) {
    setBusy(true);
    setError(null);
    try {
      const done = await post<WebhookChanged>(`/api/webhooks/${encodeURIComponent(row.name)}`, body);
      setRows(done.rows);
      if (done.changed) {
        toast("good", `${row.name} is changed; a running stack takes it within two seconds.`);
        setCsv("");
        setMaps("");
        props.onChanged(Boolean(body.csv || body.maps?.length));
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  const save = (event: FormEvent) => {
    event.preventDefault();
    void send({ mode: mode as NonNullable<WebhookChange["mode"]>, window, square_off: squareOff, csv, maps: maps.split("\n").map((one) => one.trim()).filter(Boolean) });
  };
  async function remove() {
    try {
      await post<WebhookChanged>(`/api/webhooks/${encodeURIComponent(row.name)}/remove`);
      toast("good", `${row.name} is removed: its address is unknown from now on.`);
      props.onChanged(false);
    } catch (failure) {
      setError(failure);
    }
  }
  const locked = row.state === "LOCKED";
  return (
    <Card
      title={`Change ${row.name}`}
      actions={
        <>
          <button type="button" className="small" disabled={busy} onClick={() => setRotating(true)}>New address…</button>
          <button type="button" className="small" disabled={busy} onClick={() => void send({ locked: !locked })}>{locked ? "Take alerts again" : "Refuse all alerts"}</button>
          <button type="button" className="small danger" disabled={busy} onClick={() => setRemoving(true)}>Remove…</button>
        </>
      }
    >
      {rotating && <RotateDialog name={row.name} onClose={() => setRotating(false)} onChanged={() => props.onChanged(false)} />}
      {removing && (
        <div className="note care row" role="alert">
          <span className="grow">Remove {row.name}? Its address is unknown at once. What it holds keeps its stops, limits and square-off.</span>
          <button type="button" className="danger" onClick={() => void remove()}>Remove {row.name}</button>
          <button type="button" onClick={() => setRemoving(false)}>Keep it</button>
        </div>
      )}
      <form className="form" onSubmit={save}>
        <Field label="Mode"><select value={mode} onChange={(event) => setMode(event.target.value)}>{["", "LONG", "SHORT", "BOTH"].map((one) => <option key={one} value={one}>{one || `as it is (${row.mode})`}</option>)}</select></Field>
        <TimeField label="Entries in" example={row.window || "09:20-15:00"} check={windowProblem} value={window} onChange={setWindow} />
        <TimeField label="Square-off" example={row.square_off || "15:15"} check={timeProblem} value={squareOff} onChange={setSquareOff} />
        <Field label="Mappings, one a line, new or in place of those of their symbols: RELIANCE=NSE:RELIANCE,MIS,1" wide>
          <textarea rows={2} maxLength={20000} value={maps} onChange={(event) => setMaps(event.target.value)} />
        </Field>
        <Field label="Further mappings: symbol,exchange,quantity,product[,instrument symbol]" wide>
          <textarea rows={3} maxLength={50000} value={csv} onChange={(event) => setCsv(event.target.value)} />
        </Field>
        <div className="row">
          <button type="button" disabled={busy || !csv.trim()} onClick={() => void send({ csv, preview: true })}>Preview</button>
          <button type="submit" className="primary" disabled={busy || !(mode || window || squareOff || csv.trim() || maps.trim())}>Save</button>
        </div>
      </form>
      <ErrorNote error={error} />
      <CsvProblems rows={rows} />
    </Card>
  );
}

const MAPPINGS: readonly Column<WebhookMapping>[] = [
  { id: "symbol", name: "Symbol of the sender", value: (row) => row.symbol },
  { id: "instrument", name: "Trades", value: (row) => row.instrument, cell: (row) => <>{symbol(row.instrument)} {row.trade || row.legs.join("; ")}</> },
  { id: "product", name: "Product", fold: true, value: (row) => row.product },
  { id: "size", name: "Size", num: true, fold: true, value: (row) => row.lots || row.quantity, cell: (row) => (row.lots ? `${number(row.lots)} lots` : `${number(row.quantity)} units`) },
  { id: "most", name: "The alert's own, up to", num: true, fold: true, value: (row) => row.max_quantity, cell: (row) => (row.max_quantity ? number(row.max_quantity) : "never") },
];
const mappingKey = (row: WebhookMapping): string => row.symbol;

/** What a webhook maps, and the texts to paste at its sender. */
export function WebhookDetails({ name, onChanged }: { name: string; onChanged: () => void }) {
  const answer = useAnswer<WebhookView>(`/api/webhooks/${encodeURIComponent(name)}`);
  const view = answer.data;
  const [gone, setGone] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [actions] = useState(() => (row: WebhookMapping) => <button type="button" className="small" onClick={() => setGone(row.symbol)} aria-label={`Unmap ${row.symbol}`}>Unmap</button>);
  async function unmap() {
    const body: WebhookChange = { unmap: [gone] };
    try {
      await post<WebhookChanged>(`/api/webhooks/${encodeURIComponent(name)}`, body);
      toast("good", `${gone} is mapped no more; what is held of it keeps its stops and square-off.`);
      setGone("");
      setError(null);
      onChanged();
    } catch (failure) {
      setError(failure);
    }
  }
  return (
    <Card title={`Mappings of ${name}`} plain>
      <ErrorNote error={answer.error ?? error} />
      {gone && (
        <div className="note care row" role="alert">
          <span className="grow">Alerts for {gone} are refused from then on. What is held of it keeps its stops and square-off.</span>
          <button type="button" className="danger" onClick={() => void unmap()}>Unmap {gone}</button>
          <button type="button" onClick={() => setGone("")}>Keep it</button>
        </div>
      )}
      {view && <Table label={`mappings of ${name}`} csv={`mappings-${name}`} rows={view.symbols} columns={MAPPINGS} rowKey={mappingKey} actions={actions} empty="Nothing is mapped: import lines below." />}
      {view && (
        <div className="inside">
          <details>
            <summary>Texts to paste at the sender</summary>
            {view.guards.length > 0 && <p className="muted small">It also asks for {view.guards.join(", ")}.</p>}
            {Object.entries(view.texts).map(([title, text]) => <div key={title}><h3>{title}</h3><pre>{text}</pre></div>)}
          </details>
        </div>
      )}
    </Card>
  );
}
