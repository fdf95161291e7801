/** Servers and keys of accounts (administrators), and what margins pay for. A key is written here and never shown. */
import { type FormEvent, useState } from "react";
import { ApiFailure, post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { AccountAnswer, AccountChange, AccountSetup, LotsAnswer, MarginRow } from "../generated/api";
import { number, percent, rupees } from "../ui/format";
import { Badge, Card, ErrorNote, Field, Figure, Figures } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { toast } from "../ui/toast";
import { NumberField, useNumber } from "../ui/typed_field";

const MARGINS: readonly Column<MarginRow>[] = [
  { id: "account", name: "Account", value: (row) => row.account },
  { id: "free", name: "Free ₹", num: true, flash: true, value: (row) => row.free, cell: (row) => rupees(row.free, 0) },
  { id: "cash", name: "Cash ₹", num: true, value: (row) => row.cash, cell: (row) => rupees(row.cash, 0) },
  { id: "reserved", name: "Reserved for entries ₹", num: true, fold: true, value: (row) => row.reserved, cell: (row) => rupees(row.reserved, 0) },
  { id: "buffer", name: "Kept back ₹", num: true, fold: true, value: (row) => row.buffer, cell: (row) => rupees(row.buffer, 0) },
];
const marginKey = (row: MarginRow): string => row.account;
const NO_MARGINS: readonly MarginRow[] = [];
const KINDS: Record<string, string> = { sold: "sold option", both: "sold call and put", future: "future", buy: "bought option" };

export function Margins() {
  const margins = useAnswer<MarginRow[]>("/api/margin", {}, 3000);
  const [asked, setAsked] = useState({ instrument: "NIFTY", kind: "sold", grade: "balanced", expiry: "false" });
  const margin = useNumber("1000000", { least: 0 });
  const premium = useNumber("", { above: 0 });
  const [given, setGiven] = useState<(typeof asked & { margin: number; premium: number }) | null>(null);
  const lots = useAnswer<LotsAnswer>(given ? "/api/margin/lots" : null, given ?? {});
  const found = lots.data;
  const set = (fields: Partial<typeof asked>) => setAsked((before) => ({ ...before, ...fields }));
  const compute = (event: FormEvent) => {
    event.preventDefault();
    const paid = asked.kind === "buy" ? premium.value : 0;
    if (margin.value !== null && paid !== null) setGiven({ ...asked, margin: margin.value, premium: paid });
  };
  return (
    <>
      <Card title="Margin, as risk counts it" plain>
        <ErrorNote error={margins.error} />
        <Table plain label="margin by account" rows={margins.data ?? NO_MARGINS} loaded={margins.data !== null} columns={MARGINS} rowKey={marginKey} empty="The funds of no account are known yet." />
      </Card>
      <Card title="What a margin pays for">
        <form className="form" onSubmit={compute}>
          <NumberField label="Margin ₹" of={margin} />
          <Field label="Instrument"><input value={asked.instrument} onChange={(event) => set({ instrument: event.target.value.toUpperCase().trim() })} /></Field>
          <Field label="Type"><select value={asked.kind} onChange={(event) => set({ kind: event.target.value })}>{Object.entries(KINDS).map(([word, name]) => <option key={word} value={word}>{name}</option>)}</select></Field>
          <Field label="Profile or grade"><input value={asked.grade} onChange={(event) => set({ grade: event.target.value.trim() })} /></Field>
          <Field label="Expires that day"><select value={asked.expiry} onChange={(event) => set({ expiry: event.target.value })}><option value="false">no</option><option value="true">yes</option></select></Field>
          {asked.kind === "buy" && <NumberField label="Premium ₹" of={premium} />}
          <div className="row"><button type="submit" className="primary" disabled={lots.busy && given !== null}>Compute</button></div>
        </form>
        <ErrorNote error={lots.error} />
        {found && (
          <>
            <Figures>
              <Figure name="Lots">{number(found.lots)}</Figure>
              <Figure name="Units">{number(found.quantity)}</Figure>
              <Figure name="Share taken">{percent(found.share, 0)}</Figure>
              <Figure name="Margin a lot">{rupees(found.margin_per_lot, 0)}</Figure>
              <Figure name="Used">{rupees(found.used, 0)}</Figure>
              <Figure name="Left">{rupees(found.left, 0)}</Figure>
              <Figure name="Lot, freeze">{`${number(found.lot_size)}, ${number(found.freeze)}`}</Figure>
              <Figure name="Orders">{found.orders.map((one) => number(one)).join(" + ") || "none"}</Figure>
            </Figures>
            <p className="muted small">{found.why}</p>
          </>
        )}
      </Card>
    </>
  );
}

const EMPTY = { name: "", host: "", ws_url: "", broker: "", role: "", product: "", key: "" };

export function AccountSetups() {
  const admin = useRole("admin");
  const answer = useAnswer<AccountSetup[]>(admin ? "/api/setup/accounts" : null);
  const [tested, setTested] = useState<readonly AccountAnswer[]>([]);
  const [fields, setFields] = useState(EMPTY);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  if (!admin) return null;
  const rows = answer.data ?? [];
  const known = rows.some((row) => row.id === fields.name);
  const set = (changed: Partial<typeof fields>) => setFields((before) => ({ ...before, ...changed }));
  const wrong = (field: string): string | null => (error instanceof ApiFailure && error.body.field === field ? error.message : null);

  async function send<Body>(path: string, body: unknown, done: (found: Body) => void) {
    setBusy(true);
    setError(null);
    try {
      done(await post<Body>(path, body));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  const changed = (text: string) => () => {
    toast("good", `${text}. A running stack keeps what it was started with.`);
    setFields(EMPTY);
    answer.again();
  };
  const save = (event: FormEvent) => {
    event.preventDefault();
    const { name, ...rest } = fields;
    void send(`/api/setup/accounts/${encodeURIComponent(name)}`, { ...rest, new: !known } as AccountChange, changed(`${name} is kept`));
  };
  return (
    <Card
      title="Servers and keys"
      actions={
        <>
          <button type="button" className="small" disabled={busy} onClick={() => void send<AccountAnswer[]>("/api/setup/accounts/test", {}, setTested)}>Test all</button>
          <button type="button" className="small" disabled={busy || !rows.length} onClick={() => void send("/api/setup/accounts/rotate-key", {}, changed("All keys are encrypted anew"))}>Encrypt anew</button>
        </>
      }
    >
      <ErrorNote error={answer.error ?? error} />
      <ul className="list">
        {rows.map((row) => {
          const ping = tested.find((one) => one.id === row.id);
          return (
            <li key={row.id}>
              <span className="strong">{row.id}</span> <Badge>{row.role}</Badge>
              <span className="grow muted small">{`${row.broker} ${row.host} ${row.product}`}</span>
              {ping && <Badge tone={ping.ok ? "good" : "bad"}>{ping.ok ? `${ping.mode}, ${number(ping.ms)} ms` : ping.message || "no answer"}</Badge>}
              <button type="button" className="small" onClick={() => set({ ...EMPTY, name: row.id })}>Change</button>
              {row.role !== "primary" && <button type="button" className="small" disabled={busy} onClick={() => void send(`/api/setup/accounts/${encodeURIComponent(row.id)}/primary`, {}, changed(`${row.id} is the primary`))}>Make primary</button>}
            </li>
          );
        })}
      </ul>
      <form className="form" onSubmit={save} autoComplete="off">
        <Field label="Name" error={wrong("name")}><input required maxLength={40} value={fields.name} onChange={(event) => set({ name: event.target.value.trim() })} /></Field>
        <Field label="Server" error={wrong("host")}><input required={!known} placeholder={known ? "as it is" : "http://127.0.0.1:5000"} value={fields.host} onChange={(event) => set({ host: event.target.value.trim() })} /></Field>
        <Field label="WebSocket (empty: port 8765)"><input value={fields.ws_url} onChange={(event) => set({ ws_url: event.target.value.trim() })} /></Field>
        <Field label="Role">
          <select value={fields.role} onChange={(event) => set({ role: event.target.value })}>{["", "primary", "backup", "trading"].map((one) => <option key={one} value={one}>{one || "as it is"}</option>)}</select>
        </Field>
        <Field label="Product">
          <select value={fields.product} onChange={(event) => set({ product: event.target.value })}>{["", "MIS", "NRML", "CNC"].map((one) => <option key={one} value={one}>{one || "as it is"}</option>)}</select>
        </Field>
        <Field label={known ? "Another API key" : "API key"} error={wrong("key")}><input type="password" required={!known} autoComplete="new-password" value={fields.key} onChange={(event) => set({ key: event.target.value })} /></Field>
        <div className="row"><button type="submit" className="primary" disabled={busy || !fields.name}>{busy ? "Asking the server…" : known ? "Change" : "Add"}</button><span className="muted small">kept once the server knows the key</span></div>
      </form>
    </Card>
  );
}
