/** The first page: what holds entries back, what needs a person, accounts with age, profit of the day, strategies, positions. */
import { useMemo, useState } from "react";
import { Link as To } from "wouter";
import { useRole } from "../api/session";
import { Curve } from "../charts/lazy";
import type { AccountRow, NeedRow, StrategyRow } from "../generated/api";
import { useLink, useStack, useTopic } from "../live/hooks";
import { clock, number, price, profit, rupees, signalCount, span, symbol, words } from "../ui/format";
import { Age, Badge, Card, Empty, Figure, Figures, Page, Profit } from "../ui/parts";
import { Confidence, nextStep, Severity, StrategyState } from "../ui/states";
import { SwitchDialog } from "../ui/switch";
import { HeldBack, Refused, refusedRows } from "../shell/held_back";

export default function Dashboard() {
  return (
    <Page title="Dashboard">
      <Halts />
      <Needs />
      <div className="columns">
        <Today />
        <Strategies />
      </div>
      <Accounts />
    </Page>
  );
}

const PLACES: Record<string, string> = { alert: "/alerts", unknown_order: "/orders", unmanaged: "/positions", disputed: "/positions", unprotected: "/positions", bare_leg: "/positions", broken_basket: "/positions", fault: "/strategies" };

const FEW = 12;

function Needs() {
  const needs = useTopic("needs");
  const now = useLink().beat?.market_ms ?? null;
  const stack = useStack();
  const halts = useTopic("halts").rows;
  const [all, setAll] = useState(false);
  const rank = (row: NeedRow): number => (row.severity === "critical" ? 0 : 1);
  const rows = [...needs.rows].sort((a, b) => rank(a) - rank(b));
  if (!needs.loaded) return null;
  return (
    <Card title={rows.length ? `Needs you: ${rows.length}` : halts.length ? "Nothing else needs you" : "Nothing needs you"} plain>
      {!halts.length && stack?.entries_closed && (
        <div className="inside">
          <Badge tone="care">no entries</Badge> {stack.entries_closed}
        </div>
      )}
      {rows.length > 0 && (
        <ul className="list">
          {rows.slice(0, all ? rows.length : FEW).map((row) => (
            <li key={row.id}>
              <Severity value={row.severity} />
              <span className="strong">{words(row.kind)}</span>
              <span className="grow">
                {row.subject}: {row.text}
              </span>
              <span className="muted small">{now && row.since_ms ? `for ${span((now - row.since_ms) / 1000)}` : ""}</span>
              <To href={PLACES[row.kind] ?? "/alerts"}>Look</To>
            </li>
          ))}
        </ul>
      )}
      {rows.length > FEW && (
        <div className="inside row">
          <span className="muted">{all ? `All ${rows.length} are shown.` : `${FEW} of ${rows.length} are shown, the most severe first.`}</span>
          <button type="button" className="small" onClick={() => setAll(!all)}>{all ? `Show ${FEW} only` : `Show the other ${rows.length - FEW}`}</button>
        </div>
      )}
    </Card>
  );
}

function Today() {
  const stack = useStack();
  const points = useTopic("profit").rows;
  const sorted = useMemo(() => points.filter((row) => row.at_ms !== null).sort((a, b) => (a.at_ms ?? 0) - (b.at_ms ?? 0)), [points]);
  if (!stack) return <Card title="Today">Waiting for data…</Card>;
  return (
    <Card title="Today, before charges">
      <div className="stack">
        <div className="row">
          <Profit value={stack.realised + stack.unrealised} className="big" />
          <span className="muted">
            realised <Profit value={stack.realised} />, open <Profit value={stack.unrealised} />
          </span>
        </div>
        {sorted.length > 1 ? (
          <Curve
            label="Profit of the day in rupees" height={180} times={sorted.map((row) => row.at_ms ?? 0)}
            lines={[
              { name: "P&L ₹", colour: "accent", fill: true, values: sorted.map((row) => row.realised + row.unrealised) },
              { name: "realised ₹", colour: "muted", values: sorted.map((row) => row.realised) },
            ]}
          />
        ) : (
          <Empty>The curve begins with its second point.</Empty>
        )}
        <div className="muted small">Since the stack was started:</div>
        <Figures>
          <Figure name="Round trips">{number(stack.round_trips)}</Figure>
          <Figure name="Orders placed">{number(stack.orders_placed)}</Figure>
          <Figure name="Filled">{number(stack.orders_filled)}</Figure>
          <Figure name="Rejected">{number(stack.orders_rejected)}</Figure>
          <Figure name="Of unknown fate">{stack.orders_unknown ? <span className="loss">{stack.orders_unknown}</span> : "none"}</Figure>
          <Figure name="Signals">{signalCount(stack.signals, stack.denied)}</Figure>
          <Figure name="Quote to order" title="Machine time from the quote to the order on its way: half of them, and 99 of 100">
            {stack.quote_to_order_p50_ms === null ? "—" : `${number(stack.quote_to_order_p50_ms)} ms, p99 ${number(stack.quote_to_order_p99_ms)} ms`}
          </Figure>
        </Figures>
      </div>
    </Card>
  );
}

function Strategies() {
  const strategies = useTopic("strategies");
  const trader = useRole("trader");
  const now = useLink().beat?.market_ms ?? null;
  const [switched, setSwitched] = useState<StrategyRow | null>(null);
  return (
    <Card title="Strategies" plain actions={<To href="/strategies">All about them</To>}>
      {!strategies.rows.length && <Empty>{strategies.loaded ? "No strategy runs." : "Waiting for data…"}</Empty>}
      <ul className="list">
        {strategies.rows.map((row) => (
          <li key={row.name}>
            <div className="grow">
              <div className="row">
                <To href={`/strategies/${encodeURIComponent(row.name)}`} className="strong">{row.name}</To>
                <StrategyState row={row} />
                <span className="muted small nowrap">{row.positions ? `${row.positions} open, ${row.lots === null ? "lots unknown" : `${number(row.lots, row.lots % 1 ? 2 : 0)} lot${row.lots === 1 ? "" : "s"}`}` : "flat"}</span>
                <span className="muted small nowrap" title={row.closes_ms === null && !row.square_off ? "No time of its own; what it holds intraday is closed before the market's close" : "When the clock closes what it holds"}>
                  {row.closes_ms === null && !row.square_off ? "no square-off of its own" : "square-off "}{row.closes_ms === null ? row.square_off : `${clock(row.closes_ms).slice(0, 5)}${now === null ? "" : row.closes_ms > now ? ` (in ${span((row.closes_ms - now) / 1000)})` : " (now)"}`}
                </span>
              </div>
              <div className="muted small">
                {row.problem || (row.enabled ? nextStep(row) : `entries off${row.switched_by ? ` by ${row.switched_by}` : ""}${row.switched_reason ? `: ${row.switched_reason}` : ""}`)}
              </div>
              {row.refused && <div className="small"><Refused row={row} /></div>}
              <div className="muted small">{Object.entries(row.prices).map(([name, value]) => `${symbol(name)} ${price(value)}`).join(" · ")}</div>
            </div>
            <Profit value={row.realised + row.unrealised} className="strong" />
            {trader && row.state !== "GONE" && (
              <button type="button" className="small" onClick={() => setSwitched(row)}>
                {row.enabled ? "Pause" : "Enable"}
              </button>
            )}
          </li>
        ))}
      </ul>
      {switched && <SwitchDialog strategy={switched} onClose={() => setSwitched(null)} />}
    </Card>
  );
}

function Accounts() {
  const accounts = useTopic("accounts");
  const total = accounts.rows.length > 1 ? accounts.rows.filter((row) => row.available !== null) : [];
  return (
    <>
      <div className="title">
        <h2>Accounts</h2>
        {total.length > 1 && (
          <span className="muted">
            {total.length} accounts together: free {rupees(total.reduce((sum, row) => sum + (row.available ?? 0), 0), 0)}, margin used{" "}
            {rupees(total.reduce((sum, row) => sum + (row.used_margin ?? 0), 0), 0)}
          </span>
        )}
      </div>
      <div className="cards">
        {accounts.rows.map((row) => (
          <Account key={row.account} row={row} />
        ))}
      </div>
    </>
  );
}

function Account({ row }: { row: AccountRow }) {
  const wall = useLink().beat?.wall_ms ?? Date.now();
  const age = (ms: number | null): number | null => (ms === null ? null : Math.max(wall - ms, 0) / 1000);
  const well = row.status === "connected" && row.right_mode !== false;
  return (
    <Card
      title={
        <>
          {row.account} <span className="muted small">{[row.role, row.broker].filter(Boolean).join(" · ")}</span>
        </>
      }
      actions={<Badge tone={well ? "good" : "bad"}>{row.right_mode === false ? "wrong mode" : row.status || "unknown"}</Badge>}
    >
      <div className="stack">
        <Figures>
          <Figure name="Free ₹">{rupees(row.available)}</Figure>
          <Figure name="Margin used ₹">{rupees(row.used_margin)}</Figure>
          <Figure name="Open P&L"><Profit value={row.unrealised} /></Figure>
          <Figure name="Realised today"><Profit value={row.realised} /></Figure>
          <Figure name="Broker says realised" title={row.not_comparable || "Difference of our ledger from the broker's"}>
            <Profit value={row.broker_realised} />
            {row.difference ? <span className="warn small nowrap"> differs by {profit(row.difference)}</span> : null}
          </Figure>
          <Figure name="Open positions">{number(row.positions)}</Figure>
        </Figures>
        <div className="row small">
          <span className="muted">funds</span> <Age seconds={age(row.funds_wall_ms)} lateS={90} />
          <span className="muted">books</span> <Age seconds={age(row.books_wall_ms)} lateS={30} /> <Confidence value={row.books} />
          {row.level !== "normal" && <Badge tone="bad">{row.level}</Badge>}
          {row.stream_up === false && <Badge tone="care">no order stream</Badge>}
          {row.calls_waiting ? <Badge tone="care">{row.calls_waiting} order calls wait</Badge> : null}
        </div>
        {row.message && <div className="note care">{row.message}</div>}
      </div>
    </Card>
  );
}

function Halts() {
  const halts = useTopic("halts").rows;
  const strategies = useTopic("strategies").rows;
  if (!halts.length && !refusedRows(strategies).length) return null;
  return (
    <Card title="What holds entries back" plain actions={<To href="/risk">Risk</To>}>
      <HeldBack />
    </Card>
  );
}
