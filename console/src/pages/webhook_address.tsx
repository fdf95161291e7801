/** New webhooks and new addresses: what a sender must know is shown once, here, and kept nowhere. */
import { type FormEvent, useState } from "react";
import { post } from "../api/client";
import type { NewAddress, NewWebhook, WebhookAddress, WebhookChanged } from "../generated/api";
import { Dialog } from "../ui/dialog";
import { Badge, ErrorNote, Field } from "../ui/parts";
import { timeProblem, windowProblem } from "../ui/typed";
import { NumberField, TimeField, useNumber } from "../ui/typed_field";

const SENDERS = ["tradingview", "chartink", "amibroker", "generic"] as const;
const lines = (text: string): string[] => text.split("\n").map((one) => one.trim()).filter(Boolean);

/** Imported lines, each with its problem. */
export function CsvProblems({ rows }: { rows: WebhookChanged["rows"] }) {
  return (
    <ul className="list">
      {rows.map((one) => (
        <li key={one.line}><Badge tone={one.problem === "in order" ? "good" : "bad"}>{`line ${one.line}`}</Badge><code>{one.row}</code><span className="grow">{one.problem}</span></li>
      ))}
    </ul>
  );
}

/** The address and what goes with it; closing the window forgets them. */
function ShownOnce({ made }: { made: WebhookAddress }) {
  return (
    <div className="inside stack">
      <div className="note care">Shown this once: keep it where only the sender reads it. Whoever has the address can trade within this webhook.</div>
      <Field label="Address" wide><input readOnly value={made.url} onFocus={(event) => event.target.select()} /></Field>
      {made.secret && <Field label="Field `secret` of the body" wide><input readOnly value={made.secret} onFocus={(event) => event.target.select()} /></Field>}
      {made.hmac_key && <Field label="Key of the header X-Signature" wide><input readOnly value={made.hmac_key} onFocus={(event) => event.target.select()} /></Field>}
      {made.notes?.map((one) => <p key={one} className="warn small">{one}</p>)}
      <p className="muted small">The texts to paste at the sender stand below its mappings.</p>
    </div>
  );
}

/** Another address for a webhook. */
export function RotateDialog({ name, onClose, onChanged }: { name: string; onClose: () => void; onChanged: () => void }) {
  const overlap = useNumber("0", { whole: true, least: 0, most: 1440 });
  const [made, setMade] = useState<WebhookAddress | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const minutes = overlap.value;
  async function rotate(event: FormEvent) {
    event.preventDefault();
    if (minutes === null) return;
    setBusy(true);
    try {
      const body: NewAddress = { overlap_minutes: minutes };
      setMade(await post<WebhookAddress>(`/api/webhooks/${encodeURIComponent(name)}/rotate`, body));
      onChanged();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Dialog title={`New address of ${name}`} onClose={onClose}>
      {made ? (
        <ShownOnce made={made} />
      ) : (
        <form onSubmit={(event) => void rotate(event)}>
          <p>The old address is unknown from then on, or after the minutes that it is given.</p>
          <NumberField label="Minutes that the old one still holds" of={overlap} />
          <ErrorNote error={error} />
          <footer><button type="submit" className="primary" disabled={busy || minutes === null}>{busy ? "Making…" : "Make a new address"}</button></footer>
        </form>
      )}
    </Dialog>
  );
}

const EMPTY = { name: "", sender: "tradingview" as NewWebhook["sender"], maps: "", csv: "", mode: "" as NonNullable<NewWebhook["mode"]>, window: "", squareOff: "", positional: false, secret: false, signed: false, ips: "", certificate: "" };

/** A new webhook, with its mappings and its guards. */
export function NewWebhookDialog({ onClose, onChanged }: { onClose: () => void; onChanged: (name: string) => void }) {
  const [form, setForm] = useState(EMPTY);
  const [made, setMade] = useState<WebhookAddress | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const set = (fields: Partial<typeof EMPTY>) => setForm({ ...form, ...fields });
  const { name, sender, mode, window, positional, secret, signed, csv, certificate } = form;
  async function add(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const body: NewWebhook = { sender, mode, positional, secret, signed, csv, certificate, maps: lines(form.maps), ips: lines(form.ips.replaceAll(",", "\n")), ...(positional ? {} : { window, square_off: form.squareOff }) };
    try {
      const found = await post<WebhookAddress>(`/api/webhooks/${encodeURIComponent(name)}/add`, body);
      setMade(found);
      if (found.url) onChanged(name);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  if (made?.url) return <Dialog title={`Webhook ${made.name}`} onClose={onClose}><ShownOnce made={made} /></Dialog>;
  return (
    <Dialog title="New webhook" onClose={onClose}>
      <form onSubmit={(event) => void add(event)}>
        <div className="form">
          <Field label="Name"><input required maxLength={41} value={name} onChange={(event) => set({ name: event.target.value.trim() })} /></Field>
          <Field label="Sender"><select value={sender} onChange={(event) => set({ sender: event.target.value as NewWebhook["sender"] })}>{SENDERS.map((one) => <option key={one}>{one}</option>)}</select></Field>
          <Field label="Mode"><select value={mode} onChange={(event) => set({ mode: event.target.value as typeof mode })}>{["", "LONG", "SHORT", "BOTH"].map((one) => <option key={one} value={one}>{one || "usual for the sender"}</option>)}</select></Field>
          <TimeField label="Entries in" example="09:20-15:00" check={windowProblem} disabled={positional} value={window} onChange={(text) => set({ window: text })} />
          <TimeField label="Square-off" example="15:15" check={timeProblem} disabled={positional} value={form.squareOff} onChange={(text) => set({ squareOff: text })} />
          <Field label="Only from these addresses"><input placeholder="any" maxLength={400} value={form.ips} onChange={(event) => set({ ips: event.target.value })} /></Field>
          <Field label="Only with this certificate"><input placeholder="none" maxLength={60} value={certificate} onChange={(event) => set({ certificate: event.target.value })} /></Field>
          <Field label="Mappings, one a line: RELIANCE=NSE:RELIANCE,MIS,1" wide><textarea rows={3} maxLength={20000} value={form.maps} onChange={(event) => set({ maps: event.target.value })} /></Field>
          <Field label="Or as CSV: symbol,exchange,quantity,product[,instrument symbol]" wide><textarea rows={2} maxLength={50000} value={csv} onChange={(event) => set({ csv: event.target.value })} /></Field>
        </div>
        <div className="row">
          <label className="tick small"><input type="checkbox" checked={positional} onChange={(event) => set({ positional: event.target.checked })} /> positions are held overnight</label>
          <label className="tick small"><input type="checkbox" checked={secret} onChange={(event) => set({ secret: event.target.checked })} /> asks for a secret in the body</label>
          <label className="tick small"><input type="checkbox" checked={signed} onChange={(event) => set({ signed: event.target.checked })} /> asks for a signature</label>
        </div>
        <ErrorNote error={error} />
        {made && <CsvProblems rows={made.rows ?? []} />}
        <footer><button type="submit" className="primary" disabled={busy || !name || !(form.maps.trim() || csv.trim())}>{busy ? "Making…" : "Make the webhook"}</button></footer>
      </form>
    </Dialog>
  );
}
