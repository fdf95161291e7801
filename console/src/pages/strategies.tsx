/** Strategies: state, parameters, what each waits for; one of them with its books. */
import { type FormEvent, useMemo, useState } from "react";
import { Link as To, useLocation, useParams } from "wouter";
import { post, requestId } from "../api/client";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { ClosedTradeRow, OrderRow, PositionRow, Report, ResearchRequest, SignalRow, StrategyRow, StructureRow } from "../generated/api";
import { useLink, useTopic } from "../live/hooks";
import { useKeptList } from "../live/list";
import { Emergency } from "../shell/emergency";
import { Refused } from "../shell/held_back";
import { capital, clock, number, percent, price, signalCount, symbol, when } from "../ui/format";
import { rowsOfToday } from "../ui/days";
import { InstrumentName } from "../ui/instrument_name";
import { ChartView } from "../report/view";
import { Badge, Card, ErrorNote, Field, Figure, Figures, Page, Profit } from "../ui/parts";
import { nextStep, Result, Side, StrategyState } from "../ui/states";
import { SwitchDialog } from "../ui/switch";
import { type Column, Table } from "../ui/table";
import { NumberField, useNumber } from "../ui/typed_field";
import { WhyButton, WhyDialog } from "../ui/why";
import { ORDER_COLUMNS, orderKey } from "./orders";
import { CloseRunDialog } from "./position_dialogs";
import { isOpen } from "./position_sums";
import { POSITION_COLUMNS } from "./positions";
import { Parameters } from "./strategy_parameters";

const COLUMNS: readonly Column<StrategyRow>[] = [
  { id: "name", name: "Strategy", value: (row) => row.name, cell: (row) => <To href={`/strategies/${encodeURIComponent(row.name)}`}>{row.name}</To> },
  { id: "kind", name: "Kind", value: (row) => row.kind, extra: true },
  { id: "state", name: "State", value: (row) => row.state, cell: (row) => <StrategyState row={row} /> },
  { id: "profit", name: "P&L today", num: true, value: (row) => row.realised + row.unrealised, cell: (row) => <Profit value={row.realised + row.unrealised} /> },
  { id: "open", name: "Open", num: true, value: (row) => row.positions },
  { id: "lots", name: "Lots", num: true, extra: true, value: (row) => row.lots, cell: (row) => number(row.lots, (row.lots ?? 0) % 1 ? 2 : 0) },
  { id: "square_off", name: "Square-off", extra: true, value: (row) => squareOff(row), title: "When the clock closes what it holds; flat, the time that it names itself" },
  { id: "watches", name: "Watches", extra: true, value: (row) => row.watches.map(symbol).join(", ") },
  { id: "waits", name: "Waits for", fold: true, value: (row) => [row.problem || row.held || row.waits, row.refused?.rule].filter(Boolean).join(" "), cell: (row) => <><span className={`small ${row.problem ? "loss" : ""}`} title={row.problem || row.waits}>{row.problem || (row.enabled ? (row.held ? nextStep(row) : row.waits) : `entries off ${row.switched_by && `by ${row.switched_by}`}`)}</span>{row.refused && <div className="small waits"><Refused row={row} /></div>}</> },
];

/** When the clock closes it: what it holds now, else the time of day that it names; empty without one. */
const squareOff = (row: StrategyRow): string => (row.closes_ms === null ? row.square_off : clock(row.closes_ms).slice(0, 5));
const key = (row: StrategyRow): string => row.name;

export default function Strategies() {
  const { name } = useParams();
  return name ? <One key={name} name={decodeURIComponent(name)} /> : <All />;
}

function All() {
  const strategies = useTopic("strategies");
  const trader = useRole("trader");
  const [switched, setSwitched] = useState<StrategyRow | null>(null);
  const [actions] = useState(() => (row: StrategyRow) => (row.state === "GONE" ? null : <button type="button" className="small" onClick={() => setSwitched(row)}>{row.enabled ? "Pause" : "Enable"}</button>));
  return (
    <Page title="Strategies">
      <Card plain>
        <Table plain label="strategies" rows={strategies.rows} loaded={strategies.loaded} columns={COLUMNS} rowKey={key} {...(trader ? { actions } : {})} empty="No strategy runs: config/strategies." />
      </Card>
      {switched && <SwitchDialog strategy={switched} onClose={() => setSwitched(null)} />}
    </Page>
  );
}

const TRADES: readonly Column<ClosedTradeRow>[] = [
  { id: "closed", name: "Closed", value: (row) => row.closed_ms, cell: (row) => when(row.closed_ms) },
  { id: "instrument", name: "Instrument", value: (row) => row.instrument, cell: (row) => <InstrumentName instrument={row.instrument} below={`${row.side} ${number(row.quantity)}`} spare /> },
  { id: "profit", name: "P&L ₹", num: true, value: (row) => row.realised, cell: (row) => <Profit value={row.realised} /> },
  { id: "side", name: "Entered", extra: true, value: (row) => row.side, cell: (row) => <Side value={row.side} /> },
  { id: "quantity", name: "Units", num: true, extra: true, value: (row) => row.quantity, cell: (row) => number(row.quantity) },
  { id: "entry", name: "Entry ₹", num: true, extra: true, value: (row) => row.entry_price, cell: (row) => price(row.entry_price) },
  { id: "exit", name: "Exit ₹", num: true, extra: true, value: (row) => row.exit_price, cell: (row) => price(row.exit_price) },
];

const SIGNALS: readonly Column<SignalRow>[] = [
  { id: "time", name: "Time", value: (row) => row.created_ms, cell: (row) => when(row.created_ms) },
  { id: "action", name: "Wants", value: (row) => row.action, cell: (row) => <Side value={row.action} /> },
  { id: "result", name: "Result", value: (row) => row.result, cell: (row) => <Result value={row.result} /> },
  { id: "watch", name: "Instrument", value: (row) => row.watch, cell: (row) => symbol(row.watch) },
  { id: "reason", name: "Reason", fold: true, value: (row) => [...row.denied, row.reason].join(" "), cell: (row) => <span className="small" title={[...row.denied, row.reason].join("\n")}>{row.denied[0] ?? row.reason}</span> },
];

const idOf = (row: { id: string }): string => row.id;
const createdAt = (row: { created_ms: number | null }): number | null => row.created_ms;
const closedAt = (row: { closed_ms: number | null }): number | null => row.closed_ms;
const without = <Row,>(columns: readonly Column<Row>[]): readonly Column<Row>[] => columns.filter((column) => column.id !== "strategy");
const ORDERS = without(ORDER_COLUMNS);

function One({ name }: { name: string }) {
  const strategies = useTopic("strategies");
  const row = strategies.rows.find((one) => one.name === name);
  const orders = useKeptList("orders", createdAt, name);
  const positions = useTopic("positions").rows.filter((one) => one.strategy === name && isOpen(one));
  const trades = useKeptList("trades", closedAt, name);
  const signals = useKeptList("signals", createdAt, name);
  const trader = useRole("trader");
  const [switched, setSwitched] = useState<StrategyRow | null>(null);
  const now = useLink().beat?.market_ms ?? null;
  const [why, setWhy] = useState("");
  const [flatten, setFlatten] = useState(false);
  const run = useTopic("structures").rows.find((one) => one.strategy === name && one.legs.length > 0);
  const [closing, setClosing] = useState<StructureRow | null>(null);
  const [whyButton] = useState(() => (one: OrderRow | SignalRow | PositionRow | ClosedTradeRow) => <WhyButton name={one.id} onPress={() => setWhy(one.id)} />);
  if (!row) return <Page title={name}><Card>{strategies.loaded ? "No strategy of this name runs." : "Waiting for data…"}</Card></Page>;
  const tradesToday = rowsOfToday(trades.rows, trades.days, now, closedAt);
  const signalsToday = rowsOfToday(signals.rows, signals.days, now, createdAt);
  const closed = tradesToday?.length ?? trades.extent?.total ?? trades.rows.length;
  const won = tradesToday ? tradesToday.filter((one) => one.realised > 0).length : (trades.extent?.won ?? trades.rows.filter((one) => one.realised > 0).length);
  const signalled = signalsToday?.length ?? signals.extent?.total ?? signals.rows.length;
  const refused = signalsToday ? signalsToday.filter((one) => one.denied.length).length : (signals.extent?.refused ?? signals.rows.filter((one) => one.denied.length).length);
  return (
    <Page
      title={row.name}
      actions={
        <>
          <StrategyState row={row} />
          <To href={`/logs?text=${encodeURIComponent(row.name)}`}>Log lines</To>
          {trader && run && <button type="button" onClick={() => setClosing(run)} title="Closes what it holds now; its entries stay on">Close the run…</button>}
          {trader && positions.length > 0 && <button type="button" onClick={() => setFlatten(true)}>Square off…</button>}
          {trader && row.state !== "GONE" && <Parity strategy={row.name} />}
          {trader && row.state !== "GONE" && <button type="button" onClick={() => setSwitched(row)}>{row.enabled ? "Pause" : "Enable"}</button>}
        </>
      }
    >
      {row.problem && <div className="note bad">{row.problem}</div>}
      <div className="columns">
        <Card title="Today">
          <Figures>
            <Figure name="P&L"><Profit value={row.realised + row.unrealised} className="big" /></Figure>
            <Figure name="Realised"><Profit value={row.realised} /></Figure>
            <Figure name="Open"><Profit value={row.unrealised} /></Figure>
            <Figure name="Round trips">{closed}</Figure>
            <Figure name="Won">{closed ? percent(won / closed, 0) : "—"}</Figure>
            <Figure name="Signals">{signalCount(signalled, refused)}</Figure>
            <Figure name="Lots open">{number(row.lots, (row.lots ?? 0) % 1 ? 2 : 0)}</Figure>
            <Figure name="Square-off">{squareOff(row) || "none of its own"}</Figure>
          </Figures>
          {row.refused && <p><Refused row={row} />: {row.refused.message}</p>}
          <p className="muted">{row.enabled ? capital(nextStep(row)) : `Entries off${row.switched_by ? ` by ${row.switched_by}` : ""}${row.switched_reason ? `: ${row.switched_reason}` : ""}`}</p>
          <div className="row">
            {Object.entries(row.prices).map(([watched, value]) => (
              <Badge key={watched}>{symbol(watched)} {price(value)}</Badge>
            ))}
          </div>
        </Card>
        <Parameters row={row} />
      </div>
      <Chart name={name} />
      {orders.note ?? trades.note ?? signals.note}
      <Card title="Positions" plain>
        <Table plain tall label={`positions of ${name}`} rows={positions as PositionRow[]} columns={POSITION_COLUMNS} rowKey={idOf} actions={whyButton} empty="No open position." />
      </Card>
      <Card title="Orders" plain actions={orders.tools}>
        <Table plain label={`orders of ${name}`} rows={orders.rows} columns={ORDERS} rowKey={orderKey} sort={{ id: "time", desc: true }} actions={whyButton} empty="No order yet today." />
      </Card>
      <div className="columns">
        <Card title="Trades" plain actions={trades.tools}>
          <Table plain label={`trades of ${name}`} rows={trades.rows} columns={TRADES} rowKey={idOf} sort={{ id: "closed", desc: true }} actions={whyButton} empty="No trade yet today." />
        </Card>
        <Card title="Signals" plain actions={signals.tools}>
          <Table plain label={`signals of ${name}`} rows={signals.rows} columns={SIGNALS} rowKey={idOf} sort={{ id: "time", desc: true }} actions={whyButton} empty="No signal yet today." />
        </Card>
      </div>
      {switched && <SwitchDialog strategy={switched} onClose={() => setSwitched(null)} />}
      {why && <WhyDialog id={why} onClose={() => setWhy("")} />}
      {closing && <CloseRunDialog key={closing.id} row={closing} onClose={() => setClosing(null)} />}
      {flatten && <Emergency kind="Flatten" strategy={name} onClose={() => setFlatten(false)} />}
    </Page>
  );
}

/** Queues a comparison of the day with a backtest of the quotes that the stack saw; its report is among the reports. */
function Parity({ strategy }: { strategy: string }) {
  const [, navigate] = useLocation();
  const [error, setError] = useState<unknown>(null);
  const queue = () => {
    const body: ResearchRequest = { request_id: requestId(), kind: "parity", strategy, data: ["store"] };
    post("/api/research", body).then(() => navigate("/reports"), setError);
  };
  return (
    <>
      <button type="button" onClick={queue} title="Signals, orders and fills of the newest day, each difference with its cause">Live against backtest</button>
      <ErrorNote error={error} />
    </>
  );
}

const TIMEFRAMES = ["1m", "3m", "5m", "10m", "15m", "30m", "1h"];

/** Candles of what it watches with indicators, fills and stops, and the premium of its legs: asked for, since it costs. */
function Chart({ name }: { name: string }) {
  const [asked, setAsked] = useState<{ timeframe: string; period: number; multiplier: number } | null>(null);
  const [timeframe, setTimeframe] = useState("");
  const period = useNumber("", { whole: true, least: 2, most: 100, empty: 0 });
  const multiplier = useNumber("", { above: 0, most: 20, empty: 0 });
  const answer = useAnswer<Report>(asked ? `/api/strategies/${encodeURIComponent(name)}/chart` : null, asked ?? {});
  // kept while the data are: a chart is drawn anew for another one
  const charts = useMemo(
    () => (answer.data?.sections ?? []).flatMap((section) => section.blocks.flatMap((block) => (block.type === "chart" ? [{ ...block, title: block.title || section.title }] : []))),
    [answer.data],
  );
  const draw = (event: FormEvent) => {
    event.preventDefault();
    if (period.value === null || multiplier.value === null) return;
    const now = { timeframe, period: period.value, multiplier: multiplier.value };
    if (JSON.stringify(now) === JSON.stringify(asked)) answer.again();
    else setAsked(now);
  };
  return (
    <Card title="Chart">
      <form className="form" onSubmit={draw}>
        <Field label="Bars">
          <select value={timeframe} onChange={(event) => setTimeframe(event.target.value)}>
            <option value="">its own</option>
            {TIMEFRAMES.map((one) => <option key={one}>{one}</option>)}
          </select>
        </Field>
        <NumberField label="Supertrend period" example="as its exit's, else none" of={period} />
        <NumberField label="Supertrend multiplier" example="as its exit's, else none" of={multiplier} />
        <div className="row">
          <button type="submit" disabled={answer.busy && asked !== null}>{asked ? (answer.busy ? "Drawing…" : "Draw again") : "Draw candles, indicators, fills"}</button>
        </div>
      </form>
      <ErrorNote error={answer.error} />
      {answer.data?.subtitle && <p className="muted small">{answer.data.subtitle}</p>}
      {charts.map((chart, index) => <ChartView key={`${chart.title}${index}`} chart={chart} />)}
      {!asked && <p className="muted small">From the bars that the feed stored.</p>}
    </Card>
  );
}
