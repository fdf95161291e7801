/** The option chain: strikes around the money, at most ten times a second, while the page is looked at. */
import { memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Link as To } from "wouter";
import { Bars } from "../charts/bars";
import { Curve } from "../charts/lazy";
import type { ChainCell, ChainHead, ChainLine } from "../generated/api";
import { useChain } from "../live/hooks";
import { clock, compact, number, percent, price, when } from "../ui/format";
import { Badge, Card, Empty, ErrorNote, Figure, Figures, Page, Tabs } from "../ui/parts";
import { MOST_LEGS } from "./expiries";
import { useOptionChoice } from "./option_choice";

export default function Chain() {
  const { row, expiry, loaded, error, fields } = useOptionChoice();
  return (
    <Page title="Option chain" actions={fields}>
      <ErrorNote error={error} />
      {loaded && !row && <Card>No instrument with options is known.</Card>}
      {row && expiry && <Live key={`${row.underlying} ${expiry}`} underlying={row.underlying} expiry={expiry} />}
    </Page>
  );
}

const KEPT_POINTS = 1800;

function Live(props: { underlying: string; expiry: string }) {
  const { lines, head } = useChain(props.underlying, props.expiry);
  const sorted = useMemo(() => [...lines.rows].sort((a, b) => a.strike - b.strike), [lines.rows]);
  const straddle = useSecondly(head);
  const [picked, setPicked] = useState<readonly string[]>([]);
  const [view, setView] = useState("Overview");
  const [picking, setPicking] = useState(false); // on a phone, where figures and buttons do not fit beside each other
  const pick = useCallback((leg: string) => setPicked((before) => (before.includes(leg) ? before.filter((one) => one !== leg) : [...before, leg].slice(-MOST_LEGS))), []);
  if (head?.problem) return <ErrorNote error={head.problem} />;
  return (
    <>
      <Card>
        <Figures>
          <Figure name={`${props.underlying} spot`}>{price(head?.spot)}</Figure>
          <Figure name="Forward">{price(head?.forward)}</Figure>
          <Figure name="Days to expiry">{number(head?.days, 2)}</Figure>
          <Figure name="Straddle at the money ₹">{price(head?.straddle)}</Figure>
          <Figure name="IV at the money">{percent(head?.atm_iv)}</Figure>
          <Figure name="Put/call ratio: OI, volume">{number(head?.put_call_ratio, 2)}, {number(head?.put_call_ratio_volume, 2)}</Figure>
          <Figure name="Max pain">{price(head?.max_pain)}</Figure>
          <Figure name="OI change counts from" title="Servers tell no open interest of the day before: it counts from the last figure seen after the close of that day, else from the first one seen today">
            {when(head?.interest_since_ms)}
            {head && (head.interest_latest_ms ?? 0) - (head.interest_since_ms ?? 0) > 60_000 && <span className="muted small"> to {when(head.interest_latest_ms)}, as strikes came into view</span>}
          </Figure>
          <Figure name="Market time">{clock(head?.market_ms)}</Figure>
          {head && head.missing > 0 && <Figure name="Without a quote"><span className="warn">{head.missing} contracts</span></Figure>}
        </Figures>
      </Card>
      <Card plain>
        {sorted.length > 0 && (
          <div className="inside row">
            <Tabs label="Columns" names={VIEW_NAMES} value={view} onChange={setView} />
            <span className="muted small hide-narrow">shaded: in the money; a strike says how far it is</span>
            <button type="button" className="only-narrow" aria-pressed={picking} onClick={() => setPicking(!picking)}>Pick legs</button>
            <span className="muted small only-narrow">{picking ? "B buys, S sells: taken to the builder" : "for the builder; nothing is ordered"}</span>
          </div>
        )}
        {!sorted.length ? <Empty>{lines.loaded ? "No quotes yet." : "Asking the feed for these contracts…"}</Empty> : <ChainTable lines={sorted} view={view} picking={picking} onPick={pick} />}
        {picked.length > 0 && (
          <div className="inside row picked">
            {picked.map((leg) => <Badge key={leg} tone="info">{leg}</Badge>)}
            <To href={`/builder?${new URLSearchParams({ underlying: props.underlying, expiry: props.expiry, legs: picked.join(",") })}`}>Open in the builder</To>
            <button type="button" className="small" onClick={() => setPicked([])}>Clear</button>
            <span className="muted small">nothing is ordered</span>
          </div>
        )}
      </Card>
      {sorted.length > 0 && (
        <div className="columns">
          <Card title="Open interest by strike" actions={<span className="legend"><span className="loss">■ calls</span><span className="gain">■ puts</span></span>}>
            <Bars
              label="Open interest by strike" unit="contracts' units"
              rows={sorted.map((line) => ({ name: number(line.strike), mark: line.at_money, a: line.call?.open_interest ?? null, b: line.put?.open_interest ?? null }))}
            />
          </Card>
          <Card title="Straddle at the money since the page was opened, ₹">
            {straddle.times.length > 1 ? (
              <Curve label="Straddle at the money in rupees" height={220} times={straddle.times} lines={[{ name: "straddle ₹", colour: "accent", values: straddle.values }]} format={price} />
            ) : (
              <Empty>The curve begins with its second point.</Empty>
            )}
          </Card>
        </div>
      )}
    </>
  );
}

/** Straddle prices by second of market time, as far as this page saw them. */
function useSecondly(head: ChainHead | null): { times: number[]; values: (number | null)[] } {
  const kept = useRef<{ times: number[]; values: (number | null)[] }>({ times: [], values: [] });
  const [seen, setSeen] = useState(kept.current);
  useEffect(() => {
    if (!head?.market_ms || head.straddle === null) return;
    const second = Math.floor(head.market_ms / 1000) * 1000;
    const { times, values } = kept.current;
    if (times.length && second <= (times.at(-1) ?? 0)) return;
    kept.current = { times: [...times, second].slice(-KEPT_POINTS), values: [...values, head.straddle].slice(-KEPT_POINTS) };
    setSeen(kept.current);
  }, [head]);
  return seen;
}

interface Shown {
  id: string;
  name: string;
  narrow?: boolean;
  /** Gives its place to the buttons on a phone. */
  yields?: boolean;
  write: (cell: ChainCell) => string;
}

const COLUMNS: Record<string, Shown> = {
  change: { id: "open_interest_change", name: "OI change", write: (cell) => compact(cell.open_interest_change) },
  interest: { id: "open_interest", name: "OI", write: (cell) => compact(cell.open_interest) },
  volume: { id: "volume", name: "Volume", write: (cell) => compact(cell.volume) },
  delta: { id: "delta", name: "Δ", write: (cell) => number(cell.delta, 2) },
  gamma: { id: "gamma", name: "Γ", write: (cell) => number(cell.gamma, 5) },
  theta: { id: "theta", name: "Θ/day", write: (cell) => number(cell.theta, 1) },
  vega: { id: "vega", name: "Vega", write: (cell) => number(cell.vega, 1) },
  iv: { id: "iv", name: "IV", write: (cell) => percent(cell.iv) },
  bid: { id: "bid", name: "Bid", write: (cell) => price(cell.bid) },
  ask: { id: "ask", name: "Ask", write: (cell) => price(cell.ask) },
  last: { id: "ltp", name: "Last ₹", write: (cell) => price(cell.ltp) },
};
type ColumnName = keyof typeof COLUMNS & string;

/** Columns of a side by what is looked for; a phone has room for three, of which two yield to the buttons. */
const VIEWS: Record<string, { all: readonly ColumnName[]; phone: readonly ColumnName[] }> = {
  Overview: { all: ["change", "interest", "volume", "delta", "theta", "iv", "bid", "ask", "last"], phone: ["interest", "iv", "last"] },
  Greeks: { all: ["delta", "gamma", "theta", "vega", "iv", "last"], phone: ["delta", "theta", "last"] },
  Market: { all: ["change", "interest", "volume", "bid", "ask", "last"], phone: ["bid", "ask", "last"] },
};
const VIEW_NAMES = Object.keys(VIEWS);

function sideOf(view: string): readonly Shown[] {
  const { all, phone } = VIEWS[view] ?? { all: [], phone: [] };
  return all.flatMap((name) => {
    const column = COLUMNS[name];
    return column ? [{ ...column, narrow: phone.includes(name), yields: phone.includes(name) && name !== "last" }] : [];
  });
}

const classOf = (column: Shown, inMoney = false): string => `num ${column.narrow ? "" : "hide-narrow"} ${column.yields ? "yields" : ""} ${inMoney ? "itm" : ""}`;

/** How far a strike is from the one at the money, as traders count: "OTM 3 call, ITM 3 put". */
const moneyness = (steps: number): string => (steps === 0 ? "at the money" : steps > 0 ? `OTM ${steps} call, ITM ${steps} put` : `ITM ${-steps} call, OTM ${-steps} put`);

/** A leg picked in the chain, in words: BUY 26000 CE. */
type Pick = (leg: string) => void;

function ChainTable(props: { lines: readonly ChainLine[]; view: string; picking: boolean; onPick: Pick }) {
  const side = useMemo(() => sideOf(props.view), [props.view]);
  const mirrored = useMemo(() => [...side].reverse(), [side]);
  const money = props.lines.findIndex((line) => line.at_money);
  const place = useRef<HTMLDivElement>(null);
  const centred = useRef(false);
  useEffect(() => {
    if (centred.current || !props.lines.length) return;
    const line = place.current?.querySelector<HTMLElement>("tr.atm");
    if (!line || !place.current) return;
    centred.current = true;
    place.current.scrollTop = line.offsetTop - place.current.clientHeight / 2;
  }, [props.lines]);
  const heads = (columns: readonly Shown[], right: string) =>
    columns.map((column) => (
      <th key={right + column.id} scope="col" className={classOf(column)}>
        <span>
          <span className="hidden">{right} </span>
          {column.name}
        </span>
      </th>
    ));
  return (
    <div className="table" ref={place} tabIndex={0} role="region" aria-label="Option chain">
      <table className={`chain ${props.picking ? "picking" : ""}`}>
        <thead>
          <tr>
            {heads(side, "call")}
            <th scope="col" className="middle"><span>Strike</span></th>
            {heads(mirrored, "put")}
          </tr>
        </thead>
        <tbody>
          {props.lines.map((line, at) => (
            <Line key={line.strike} line={line} steps={money < 0 ? null : at - money} side={side} mirrored={mirrored} onPick={props.onPick} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Takes a contract to the builder, to buy or to sell. */
const PickButtons = memo(function PickButtons({ strike, right, onPick }: { strike: number; right: "CE" | "PE"; onPick: Pick }) {
  return (
    <span className="picks">
      {["BUY", "SELL"].map((side) => (
        <button key={side} type="button" className="tiny" title={`${side} ${number(strike)} ${right}: to the builder`} aria-label={`${side} ${strike} ${right} in the builder`} onClick={() => onPick(`${side} ${strike} ${right}`)}>{side[0]}</button>
      ))}
    </span>
  );
});

interface LineProps {
  line: ChainLine;
  /** Strikes above the one at the money; null where none is. */
  steps: number | null;
  side: readonly Shown[];
  mirrored: readonly Shown[];
  onPick: Pick;
}

const Line = memo(function Line({ line, steps, side, mirrored, onPick }: LineProps) {
  const [callIn, putIn] = [steps !== null && steps < 0, steps !== null && steps > 0];
  return (
    <tr className={line.at_money ? "atm" : ""}>
      {side.map((column) => (
        <td key={`c${column.id}`} className={classOf(column, callIn)}>{line.call ? column.write(line.call) : "—"}</td>
      ))}
      <th scope="row" className="num strike" title={steps === null ? undefined : moneyness(steps)}>
        {line.call && <PickButtons strike={line.strike} right="CE" onPick={onPick} />}
        {number(line.strike, line.strike % 1 ? 2 : 0)}
        {line.put && <PickButtons strike={line.strike} right="PE" onPick={onPick} />}
      </th>
      {mirrored.map((column) => (
        <td key={`p${column.id}`} className={classOf(column, putIn)}>{line.put ? column.write(line.put) : "—"}</td>
      ))}
    </tr>
  );
});
