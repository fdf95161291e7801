/** Changes of a webhook: mode, window, square-off, further mappings as CSV with a preview, and its lock. */
import { type FormEvent, useState } from "react";
import { post } from "../api/client";
import type { WebhookChange, WebhookChanged, WebhookRow } from "../generated/api";
import { Badge, Card, ErrorNote, Field } from "../ui/parts";
import { toast } from "../ui/toast";

export function WebhookForm(props: { row: WebhookRow; onChanged: () => void }) {
  const { row } = props;
  const [mode, setMode] = useState("");
  const [window, setWindow] = useState("");
  const [squareOff, setSquareOff] = useState("");
  const [csv, setCsv] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
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
        props.onChanged();
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  const save = (event: FormEvent) => {
    event.preventDefault();
    void send({ mode: mode as NonNullable<WebhookChange["mode"]>, window, square_off: squareOff, csv });
  };
  const locked = row.state === "LOCKED";
  return (
    <Card title={`Change ${row.name}`} actions={<button type="button" className="small" disabled={busy} onClick={() => void send({ locked: !locked })}>{locked ? "Take alerts again" : "Refuse all alerts"}</button>}>
      <form className="form" onSubmit={save}>
        <Field label="Mode"><select value={mode} onChange={(event) => setMode(event.target.value)}>{["", "LONG", "SHORT", "BOTH"].map((one) => <option key={one} value={one}>{one || `as it is (${row.mode})`}</option>)}</select></Field>
        <Field label="Entries in"><input placeholder={row.window || "09:20-15:00"} maxLength={20} value={window} onChange={(event) => setWindow(event.target.value.trim())} /></Field>
        <Field label="Square-off"><input placeholder={row.square_off || "15:15"} maxLength={8} value={squareOff} onChange={(event) => setSquareOff(event.target.value.trim())} /></Field>
        <Field label="Further mappings: symbol,exchange,quantity,product[,instrument symbol]" wide>
          <textarea rows={4} maxLength={50000} value={csv} onChange={(event) => setCsv(event.target.value)} />
        </Field>
        <div className="row">
          <button type="button" disabled={busy || !csv.trim()} onClick={() => void send({ csv, preview: true })}>Preview</button>
          <button type="submit" className="primary" disabled={busy || !(mode || window || squareOff || csv.trim())}>Save</button>
        </div>
      </form>
      <ErrorNote error={error} />
      <ul className="list">
        {rows.map((one) => (
          <li key={one.line}><Badge tone={one.problem === "in order" ? "good" : "bad"}>{`line ${one.line}`}</Badge><code>{one.row}</code><span className="grow">{one.problem}</span></li>
        ))}
      </ul>
    </Card>
  );
}
