/** Risk: limits in use, stops with their distance, what holds entries back, the scenario matrix of the book. */
import { useState } from "react";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { ExposureRow, LimitRow, RiskEventRow, StopRow } from "../generated/api";
import { useStack, useTopic } from "../live/hooks";
import { HeldBack } from "../shell/held_back";
import { moment, number, percent, price, rupees, symbol, units, words } from "../ui/format";
import { InstrumentName } from "../ui/instrument_name";
import { Distance } from "../ui/level";
import { Badge, Card, ErrorNote, Page, Profit, Share } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { amount, scopeOf, standing } from "./limit_amounts";
import { OrderTrial } from "./order_trial";
import { Scenario } from "./scenario";

const LIMITS: readonly Column<LimitRow>[] = [
  { id: "kind", name: "Limit", value: (row) => row.kind, cell: (row) => row.rule },
  { id: "scope", name: "Of", fold: true, value: (row) => scopeOf(row) },
  { id: "now", name: "Now", num: true, flash: true, value: (row) => row.now, cell: (row) => standing(row) },
  { id: "most", name: "Limit", num: true, value: (row) => row.most, cell: (row) => amount(row, row.most) },
  { id: "left", name: "Left", num: true, extra: true, value: (row) => row.left, cell: (row) => amount(row, row.left) },
  { id: "used", name: "Used", num: true, fold: true, value: (row) => row.used, cell: (row) => <span className="share nowrap">{percent(row.used, 0)} <Share value={row.used} label={`${row.rule} of ${scopeOf(row)}`} /></span> },
  { id: "action", name: "At the limit", extra: true, value: (row) => row.action, cell: (row) => words(row.action) },
  { id: "reached", name: "Reached", fold: true, value: (row) => row.reached, cell: (row) => (row.reached ? <Badge tone="bad">{row.reached}</Badge> : <span className="muted">no</span>) },
];

const EXPOSURE: readonly Column<ExposureRow>[] = [
  { id: "underlying", name: "Underlying", value: (row) => row.underlying, cell: (row) => <InstrumentName instrument={row.underlying} title={`${row.account} ${row.underlying}`} below={row.account} spare /> },
  { id: "account", name: "Account", extra: true, value: (row) => row.account },
  { id: "contracts", name: "Contracts", num: true, extra: true, value: (row) => row.contracts },
  { id: "long", name: "Bought ₹", title: "Value of bought units at their last prices", num: true, value: (row) => row.long_value, cell: (row) => rupees(row.long_value, 0) },
  { id: "short", name: "Sold ₹", title: "Value of sold units at their last prices", num: true, value: (row) => row.short_value, cell: (row) => rupees(row.short_value, 0) },
  { id: "gross", name: "Notional ₹", title: "All units, bought and sold alike, at the price of the underlying", num: true, fold: true, value: (row) => row.notional, cell: (row) => rupees(row.notional, 0) },
  { id: "net", name: "Net delta ₹", title: "Delta at the price of the underlying: a move of 1 % makes a hundredth of it", num: true, fold: true, value: (row) => row.delta_value, cell: (row) => rupees(row.delta_value, 0) },
  { id: "delta", name: "Delta", title: "In units of the underlying", num: true, extra: true, value: (row) => row.delta, cell: (row) => number(row.delta, 1) },
  { id: "theta", name: "Theta a day", num: true, extra: true, value: (row) => row.theta, cell: (row) => rupees(row.theta, 0) },
  { id: "vega", name: "Vega a point", num: true, extra: true, value: (row) => row.vega, cell: (row) => rupees(row.vega, 0) },
];

const STOPS: readonly Column<StopRow>[] = [
  { id: "instrument", name: "Position", value: (row) => row.instrument, cell: (row) => <InstrumentName instrument={row.instrument} title={`${row.account} ${row.instrument} ${row.product}`} below={row.strategy} spare /> },
  { id: "strategy", name: "Strategy", extra: true, value: (row) => row.strategy },
  { id: "quantity", name: "Units", num: true, value: (row) => row.quantity, cell: (row) => units(row.quantity) },
  { id: "ltp", name: "Last ₹", num: true, flash: true, value: (row) => row.ltp, cell: (row) => price(row.ltp) },
  { id: "stop", name: "Stop ₹", num: true, value: (row) => row.stop, cell: (row) => price(row.stop) },
  { id: "distance", name: "Distance ₹", num: true, fold: true, value: (row) => row.distance, cell: (row) => (row.distance === null ? "—" : <Distance kind="stop" distance={row.distance} last={row.ltp} />) },
  { id: "risk", name: "At risk", num: true, fold: true, value: (row) => row.at_risk, cell: (row) => rupees(row.at_risk, 0) },
  { id: "unrealised", name: "Open P&L", num: true, extra: true, value: (row) => row.unrealised, cell: (row) => <Profit value={row.unrealised} /> },
  { id: "holder", name: "Held by", fold: true, value: (row) => row.holder, cell: (row) => <Badge tone={row.holder === "none" ? "bad" : "good"}>{row.holder}</Badge> },
];

/** Seconds of the day in India as a time, rupees or a price for all other rules. */
const figure = (row: RiskEventRow, value: number): string =>
  row.kind === "exit_time" || row.kind === "square_off" ? `${String(Math.floor(value / 3600)).padStart(2, "0")}:${String(Math.floor(value / 60) % 60).padStart(2, "0")}` : number(value, 2);

const EVENTS: readonly Column<RiskEventRow>[] = [
  { id: "at", name: "Time", value: (row) => row.at_ms, cell: (row) => moment(row.at_ms) },
  { id: "strategy", name: "Strategy", value: (row) => row.strategy },
  { id: "kind", name: "Rule", value: (row) => row.kind, cell: (row) => words(row.kind) },
  { id: "limit", name: "Limit", num: true, value: (row) => row.threshold, cell: (row) => figure(row, row.threshold) },
  { id: "value", name: "Was", num: true, value: (row) => row.value, cell: (row) => figure(row, row.value) },
  { id: "action", name: "Did", value: (row) => row.action, cell: (row) => words(row.action) },
  { id: "instruments", name: "Of", extra: true, value: (row) => row.instruments.map(symbol).join(", ") },
  { id: "accounts", name: "Accounts", extra: true, value: (row) => row.accounts.join(", ") },
  { id: "orders", name: "Exit orders", extra: true, value: (row) => row.exit_orders.join(", ") },
  { id: "note", name: "Note", extra: true, value: (row) => row.note },
];

const eventKey = (row: RiskEventRow): string => row.id;
const NO_EVENTS: readonly RiskEventRow[] = [];

/** What rules did by themselves, of strategies that run and that are gone; read from the journals when asked. */
function RiskEvents() {
  const [asked, setAsked] = useState(false);
  const answer = useAnswer<RiskEventRow[]>(asked ? "/api/risk/events" : null);
  return (
    <Card
      title="Risk events, of removed strategies too" plain
      actions={<button type="button" className="small" disabled={asked && answer.busy} onClick={() => (asked ? answer.again() : setAsked(true))}>{asked ? "Read again" : "Read the journals"}</button>}
    >
      <ErrorNote error={answer.error} />
      {asked && <Table label="risk events" csv="risk_events" rows={answer.data ?? NO_EVENTS} loaded={!answer.busy} columns={EVENTS} rowKey={eventKey} choose={["strategy", "kind"]} sort={{ id: "at", desc: true }} empty="No rule has acted yet." />}
    </Card>
  );
}

const limitKey = (row: LimitRow): string => row.id;
const exposureKey = (row: ExposureRow): string => row.id;
const stopKey = (row: StopRow): string => row.id;

export default function Risk() {
  const limits = useTopic("limits");
  const exposure = useTopic("exposure");
  const stops = useTopic("stops");
  const off = useStack()?.limits_off ?? [];
  const mayAct = useRole("trader");
  const atRisk = stops.rows.reduce((sum, row) => sum + Math.max(row.at_risk ?? 0, 0), 0);
  return (
    <Page title="Risk">
      <Card title="What holds entries back" plain>
        <HeldBack />
      </Card>
      <Card title="Limits" plain>
        <Table plain label="risk limits" rows={limits.rows} loaded={limits.loaded} columns={LIMITS} rowKey={limitKey} sort={{ id: "used", desc: true }} empty="No limit is set: config/risk.toml." />
        {off.length > 0 && <p className="inside muted small">Switched off: {off.map(words).join(", ")}. A limit of entries is listed once something of it is used.</p>}
      </Card>
      <Card title="Exposure" plain>
        <Table plain label="exposure" rows={exposure.rows} loaded={exposure.loaded} columns={EXPOSURE} rowKey={exposureKey} sort={{ id: "underlying", desc: false }} empty="No open position." />
      </Card>
      <Card title="Stops" plain actions={<span className="muted">at risk together {rupees(atRisk, 0)}</span>}>
        <Table plain label="stops" rows={stops.rows} loaded={stops.loaded} columns={STOPS} rowKey={stopKey} sort={{ id: "distance", desc: false }} empty="No open position." />
      </Card>
      {mayAct && <OrderTrial />}
      <Scenario />
      <RiskEvents />
    </Page>
  );
}
