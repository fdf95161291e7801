/** Webhooks and what arrived at each: alerts with verdict, target and the signal they became. */
import { useState } from "react";
import { useAnswer } from "../api/hooks";
import type { DeliveryRow, WebhookRow } from "../generated/api";
import { number, when, words } from "../ui/format";
import { Badge, Card, ErrorNote, Page, type Tone } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { WhyDialog } from "../ui/why";
import { NewWebhookDialog } from "./webhook_address";
import { WebhookDetails, WebhookForm } from "./webhook_change";

const HOOKS: readonly Column<WebhookRow>[] = [
  { id: "name", name: "Webhook", value: (row) => row.name },
  { id: "sender", name: "Sender", value: (row) => row.sender },
  { id: "mode", name: "Mode", value: (row) => row.mode, cell: (row) => words(row.mode) },
  { id: "symbols", name: "Symbols", num: true, extra: true, value: (row) => row.symbols, cell: (row) => number(row.symbols) },
  { id: "window", name: "Entries in", extra: true, value: (row) => row.window },
  { id: "square_off", name: "Square-off", extra: true, value: (row) => row.square_off },
  { id: "made", name: "Address of", fold: true, value: (row) => row.token_made_wall_ms, cell: (row) => <>{row.token_made_wall_ms ? when(row.token_made_wall_ms) : <span className="muted" title="Made before that was noted; a new address is">not known</span>}{row.old_token_until_wall_ms !== null && row.old_token_until_wall_ms > Date.now() && <span className="warn small"> the one before holds until {when(row.old_token_until_wall_ms)}</span>}</> },
  { id: "state", name: "State", value: (row) => row.state, cell: (row) => <><Badge tone={row.problem ? "bad" : "info"}>{words(row.state)}</Badge> <span className="small loss">{row.problem}</span></> },
];

const VERDICTS: Record<string, Tone> = { accepted: "good", refused: "bad" };

const DELIVERIES: readonly Column<DeliveryRow>[] = [
  { id: "received", name: "Received", value: (row) => row.received },
  { id: "symbol", name: "Symbol", value: (row) => row.symbol },
  { id: "verdict", name: "Verdict", value: (row) => row.verdict, cell: (row) => <Badge tone={VERDICTS[row.verdict] ?? ""}>{words(row.verdict)}</Badge> },
  { id: "target", name: "Target (units)", num: true, value: (row) => row.target, cell: (row) => number(row.target) },
  { id: "text", name: "What became of it", fold: true, value: (row) => [row.code, row.text].filter(Boolean).join(": "), cell: (row) => <span className="small" title={row.text}>{[row.code, row.text].filter(Boolean).join(": ")}</span> },
  { id: "body", name: "Alert as sent, secrets masked", extra: true, value: (row) => row.body, cell: (row) => <code title={row.body}>{row.body.slice(0, 120)}</code> },
  { id: "ip", name: "From", extra: true, value: (row) => row.ip },
];

const hookKey = (row: WebhookRow): string => row.name;
const deliveryKey = (row: DeliveryRow): string => row.alert;
const NO_HOOKS: readonly WebhookRow[] = [];
const NO_DELIVERIES: readonly DeliveryRow[] = [];
const EVERY_MS = 10_000;

export default function Webhooks() {
  const hooks = useAnswer<WebhookRow[]>("/api/webhooks");
  const [name, setName] = useState("");
  const [why, setWhy] = useState("");
  const [adding, setAdding] = useState(false);
  const [changes, setChanges] = useState(0);
  const changed = (mappings: boolean) => {
    if (mappings) setChanges(changes + 1);
    hooks.again();
  };
  const shown = name || hooks.data?.[0]?.name || "";
  const deliveries = useAnswer<DeliveryRow[]>(shown ? `/api/webhooks/${encodeURIComponent(shown)}/deliveries` : null, { limit: 200 }, EVERY_MS);
  const [pick] = useState(() => (row: WebhookRow) => <button type="button" className="small" onClick={() => setName(row.name)} aria-label={`Alerts of ${row.name}`}>Alerts</button>);
  const [actions] = useState(() => (row: DeliveryRow) => (row.signal ? <button type="button" className="small" onClick={() => setWhy(row.signal)} aria-label={`Why ${row.signal}`}>Why</button> : null));
  return (
    <Page title="Webhooks" actions={<button type="button" className="primary" onClick={() => setAdding(true)}>New webhook</button>}>
      {adding && <NewWebhookDialog onClose={() => setAdding(false)} onChanged={(made) => { setName(made); changed(false); }} />}
      <ErrorNote error={hooks.error} />
      <Card plain>
        <Table plain label="webhooks" rows={hooks.data ?? NO_HOOKS} loaded={!hooks.busy} columns={HOOKS} rowKey={hookKey} actions={pick} empty="No webhook is set up: make one above, or by mytrading webhook add." />
      </Card>
      {shown && (
        <Card title={`Alerts of ${shown}`} plain actions={<span className="muted small">every {EVERY_MS / 1000} s</span>}>
          <ErrorNote error={deliveries.error} />
          <Table label={`alerts of ${shown}`} csv={`webhook-${shown}`} rows={deliveries.data ?? NO_DELIVERIES} loaded={deliveries.data !== null} columns={DELIVERIES} rowKey={deliveryKey} choose={["verdict", "symbol"]} sort={{ id: "received", desc: true }} actions={actions} empty="Nothing arrived yet." />
        </Card>
      )}
      {shown && <WebhookDetails key={`${shown} ${changes}`} name={shown} onChanged={() => changed(true)} />}
      {hooks.data?.filter((row) => row.name === shown).map((row) => <WebhookForm key={row.name} row={row} onChanged={changed} />)}
      {why && <WhyDialog id={why} onClose={() => setWhy("")} />}
    </Page>
  );
}
