/** Positions by account and strategy with what the engine holds for them; structures; units nobody owns. */
import { type ReactNode, useState } from "react";
import { useRole } from "../api/session";
import type { PositionRow, StructureRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { clock, compact, number, price, profit, rupees, symbol, UNKNOWN, units, words } from "../ui/format";
import { InstrumentName } from "../ui/instrument_name";
import { Distance, Level } from "../ui/level";
import { Badge, Card, Figure, Figures, Page, Profit, Scrolled, Tabs, type Tone } from "../ui/parts";
import { Confidence } from "../ui/states";
import { type Act, type Column, Table } from "../ui/table";
import { WhyButton, WhyDialog } from "../ui/why";
import { ClaimDialog, ClosePositionDialog, CloseRunDialog } from "./position_dialogs";
import { isOpen, knownSum } from "./position_sums";

const STOPS: Record<string, Tone> = { resting: "good", engine: "good", hedge: "info", partial: "care", triggered: "care", closing: "care", missing: "bad", none: "care", unknown: "info" };

function Stop({ row }: { row: PositionRow }) {
  if (!row.managed) return <Badge tone="bad">not ours</Badge>;
  if (!isOpen(row)) return <>{UNKNOWN}</>;
  return (
    <span className="nowrap" title={`stop ${words(row.stop_state)}`}>
      {row.stop !== null && price(row.stop)} <Badge tone={STOPS[row.stop_state] ?? ""}>{words(row.stop_state)}</Badge>
      {row.bare > 0 && <Badge tone="bad">{number(row.bare)} bare</Badge>}
      {row.stop_wanted !== null && <span className="small"> to move to {price(row.stop_wanted)}</span>}
      {row.stop_distance !== null && <> <Distance kind="stop" distance={row.stop_distance} last={row.ltp} /></>}
    </span>
  );
}

const EXPIRES = "What is open when the market closes is settled: an index's contract in cash at its closing price, a share's by delivery";

const VALUED = "Longs at the bid, shorts at the ask; at the last price where there is none";

/** The price that the open P&L of a position follows from: "at 101.60 against an average of 95.00". */
const valuedAt = (row: PositionRow): string =>
  row.unrealised === null || row.average_price === null || !row.quantity ? VALUED : `at ${price(row.average_price + row.unrealised / row.quantity)} against an average of ${price(row.average_price)}`;

export const POSITION_COLUMNS: readonly Column<PositionRow>[] = [
  { id: "instrument", name: "Instrument", value: (row) => row.instrument, cell: (row) => <><InstrumentName instrument={row.instrument} below={[row.product, row.managed && row.strategy, row.account].filter(Boolean).join(" · ")} />{row.expires_today && isOpen(row) && <div title={EXPIRES}><Badge tone="care">expires today</Badge></div>}{row.managed && isOpen(row) && <div className="small only-narrow">stop <Stop row={row} /></div>}</> },
  { id: "account", name: "Account", value: (row) => row.account, hidden: true },
  { id: "strategy", name: "Strategy", value: (row) => row.strategy, hidden: true },
  { id: "product", name: "Product", value: (row) => row.product, hidden: true },
  { id: "quantity", name: "Units", num: true, flash: true, value: (row) => row.quantity, cell: (row) => <Units row={row} /> },
  { id: "unrealised", name: "Open P&L", num: true, title: VALUED, value: (row) => row.unrealised, cell: (row) => <span title={valuedAt(row)}><Profit value={row.unrealised} /></span> },
  { id: "stop", name: "Stop ₹", extra: true, value: (row) => row.stop, cell: (row) => <Stop row={row} /> },
  { id: "ltp", name: "Last ₹", num: true, flash: true, value: (row) => row.ltp, cell: (row) => price(row.ltp) },
  { id: "average", name: "Average ₹", num: true, extra: true, value: (row) => row.average_price, cell: (row) => price(row.average_price) },
  { id: "realised", name: "Realised", num: true, value: (row) => row.realised, cell: (row) => <Profit value={row.realised} /> },
  { id: "target", name: "Target ₹", num: true, value: (row) => (isOpen(row) ? row.target : null), cell: (row) => <Level kind="target" level={isOpen(row) ? row.target : null} last={row.ltp} units={row.quantity || row.quantity_seen} /> },
  { id: "confidence", name: "Books", extra: true, value: (row) => row.confidence, cell: (row) => <Confidence value={row.confidence} /> },
];

function Units({ row }: { row: PositionRow }) {
  if (row.quantity === row.quantity_seen || !row.managed) return units(row.quantity);
  return (
    <span title="Confirmed by two sources, and reported by one">
      {units(row.quantity)} <span className="warn small">seen {units(row.quantity_seen)}</span>
    </span>
  );
}

const key = (row: PositionRow): string => row.id;
const owned = (row: PositionRow): string => `${symbol(row.instrument)} ${row.product} in ${row.account}, ${row.managed ? row.strategy : "units that no strategy owns"}`;
const GROUPS = ["Strategy", "Structure", "Account", "None"] as const;
const NONE = "units that no strategy owns";
const GROUP: Record<(typeof GROUPS)[number], ((row: PositionRow) => string) | undefined> = {
  Strategy: (row) => `${row.account} · ${row.managed ? row.strategy : NONE}`,
  Structure: (row) => (row.managed ? structureName(row) : `${row.account} · ${NONE}`),
  Account: (row) => row.account,
  None: undefined,
};

const structureName = (row: { strategy: string; run: string }): string => `${row.strategy}, run ${row.run || "of no structure"}`;
/** A run is known to people by when it began, to programs by its id. */
const runHead = (name: string, structure: StructureRow | undefined): string => (structure ? `${structure.strategy}, run of ${clock(structure.opened_ms)}` : name);

/** Open P&L of the rows that have a price, and how many have none. */
function OpenProfit({ rows }: { rows: readonly PositionRow[] }) {
  const { sum, unknown } = knownSum(rows.filter(isOpen).map((row) => row.unrealised));
  return (
    <>
      <Profit value={sum} />
      {unknown > 0 && <span className="warn small nowrap"> without {unknown} unpriced</span>}
    </>
  );
}

const realised = (rows: readonly PositionRow[]): number => rows.reduce((sum, row) => sum + row.realised, 0);

/** Heads of groups: sums of all rows of a group, also of those that are hidden, as flat ones are. A position knows what
 * it realised in the day and not in which run, so that a run shows the sum of its own books, or none. */
const headsOf = (all: readonly PositionRow[], group: (row: PositionRow) => string, structures: readonly StructureRow[] | null) => (name: string) => {
  const rows = all.filter((row) => group(row) === name);
  const structure = structures?.find((one) => structureName(one) === name);
  const sum = structures && rows.some((row) => row.managed) ? (structure?.realised ?? null) : realised(rows);
  return groupHead(name, rows, sum, structure);
};

function groupHead(name: string, rows: readonly PositionRow[], sum: number | null, structure: StructureRow | undefined) {
  return (
    <>
      <span title={name}>{runHead(name, structure)}</span> <span className="muted">open</span> <OpenProfit rows={rows} />
      {sum !== null && <> <span className="muted">{structure ? "realised by the run" : "realised today"}</span> <Profit value={sum} /></>}
      {structure && <span className="muted"> Δ {number(structure.delta, 1)} Γ {number(structure.gamma, 3)} Θ {compact(structure.theta)} a day, vega {compact(structure.vega)}</span>}
    </>
  );
}

export default function Positions() {
  const positions = useTopic("positions");
  const structures = useTopic("structures").rows;
  const [flat, setFlat] = useState(false);
  const [group, setGroup] = useState<(typeof GROUPS)[number]>("Strategy");
  const [chosen, setChosen] = useState<{ kind: "close" | "claim"; id: string } | null>(null);
  const [why, setWhy] = useState<PositionRow | null>(null);
  const [closing, setClosing] = useState<StructureRow | null>(null);
  const trader = useRole("trader");
  const [viewed] = useState(() => (row: PositionRow) => <WhyButton name={owned(row)} onPress={() => setWhy(row)} />);
  const [acted] = useState(() => (row: PositionRow, act: Act) => (
    <>
      {row.managed && isOpen(row) ? (
        <button type="button" className="small" onClick={act(() => setChosen({ kind: "close", id: row.id }))}>Close</button>
      ) : null}
      {!row.managed && <button type="button" className="small" onClick={act(() => setChosen({ kind: "claim", id: row.id }))}>Claim</button>}
      {viewed(row)}
    </>
  ));
  const open = positions.rows.filter(isOpen);
  const ours = open.filter((row) => row.managed);
  const rows = flat ? positions.rows : open;
  const unmanaged = open.filter((row) => !row.managed);
  const bare = open.filter((row) => row.stop_state === "missing" || row.stop_state === "none").length;
  return (
    <Page title="Positions" actions={<Tabs label="Group by" names={GROUPS} value={group} onChange={setGroup} />}>
      <Card>
        <Figures>
          <Figure name="Open">{number(open.length)}</Figure>
          <Figure name="Open P&L" title="Of what strategies own, as on the dashboard"><OpenProfit rows={ours} /></Figure>
          <Figure name="Realised today" title="Of all positions of today, also of those that are flat again"><Profit value={realised(positions.rows)} /></Figure>
          <Figure name="Without a stop">{bare ? <span className="loss">{bare}</span> : "none"}</Figure>
          <Figure name="Unmanaged">{unmanaged.length ? <><span className="loss">{unmanaged.length}</span> <span className="small nowrap">open <OpenProfit rows={unmanaged} /></span></> : "none"}</Figure>
        </Figures>
      </Card>
      <Card plain>
        <Table
          label="positions" csv="positions" rows={rows} loaded={positions.loaded} columns={POSITION_COLUMNS} rowKey={key}
          choose={["account", "strategy"]} actions={trader ? acted : viewed} {...(GROUP[group] ? { group: GROUP[group], groupHead: headsOf(positions.rows, GROUP[group], group === "Structure" ? structures : null) } : {})}
          empty="No open position." tall
          tools={
            <label className="tick small">
              <input type="checkbox" checked={flat} onChange={(event) => setFlat(event.target.checked)} /> flat ones too
            </label>
          }
        />
      </Card>
      <div className="columns">{structures.map((row) => <Structure key={row.id} row={row} onClose={trader ? setClosing : null} />)}</div>
      {closing && <CloseRunDialog key={closing.id} row={closing} onClose={() => setClosing(null)} />}
      {why && <WhyDialog id={why.id} name={owned(why)} onClose={() => setWhy(null)} />}
      {chosen?.kind === "close" && <ClosePositionDialog id={chosen.id} onClose={() => setChosen(null)} />}
      {chosen?.kind === "claim" && <ClaimDialog id={chosen.id} onClose={() => setChosen(null)} />}
    </Page>
  );
}

/** Prices at which a run's own rules close a leg; a column is there where a leg has one. */
const LEG_LEVELS: readonly (readonly [string, "stop" | "target", (leg: StructureRow["legs"][number]) => number | null])[] = [
  ["Stop ₹", "stop", (leg) => leg.stop_loss],
  ["Target ₹", "target", (leg) => leg.take_profit],
  ["Trail ₹", "stop", (leg) => leg.trailing],
];

/** Rupees that a run's profit may still lose or gain until a rule of it acts: "₹1,200 away", "breached by ₹300". */
function room(left: number | null, past: string): ReactNode {
  if (left === null) return null;
  return left > 0 ? <span className="muted small">{rupees(left, 0)} away</span> : <span className="loss strong small">{past} {rupees(-left, 0)}</span>;
}

/** The legs of a run; where no rule of the run has a stop or target for a leg, that of its position counts. */
function useOwnLevels(row: StructureRow): readonly StructureRow["legs"][number][] {
  const positions = useTopic("positions").rows;
  return row.legs.map((leg) => {
    const own = positions.find((one) => one.strategy === row.strategy && one.account === leg.account && one.instrument === leg.instrument && one.product === leg.product);
    return { ...leg, stop_loss: leg.stop_loss ?? own?.stop ?? null, take_profit: leg.take_profit ?? own?.target ?? null };
  });
}

/** A run of a strategy with its legs, and what ends it: loss, profit, trail, the clock. */
function Structure({ row, onClose }: { row: StructureRow; onClose: ((row: StructureRow) => void) | null }) {
  const legs = useOwnLevels(row);
  const levels = LEG_LEVELS.filter(([, , of]) => legs.some((leg) => of(leg) !== null));
  const now = row.profit;
  const from = (level: number | null): number | null => (now === null || level === null ? null : now - level);
  const loss = row.max_loss === null ? null : -Math.abs(row.max_loss);
  const gained = from(row.max_profit);
  return (
    <Card
      title={`${row.strategy}, run of ${clock(row.opened_ms)}`}
      actions={
        <>
          {row.leaving ? <Badge tone="care">closing: {row.leaving}</Badge> : <span title="As the rules of the run count it: longs at the bid, shorts at the ask"><Profit value={row.profit} className="strong" /></span>}
          {onClose && row.legs.length > 0 && <button type="button" className="small" onClick={() => onClose(row)}>Close the run…</button>}
        </>
      }
    >
      <div className="stack">
        <Figures>
          <Figure name="Closes at a loss of">{profit(loss, 0)} {room(from(loss), "breached by")}</Figure>
          <Figure name="Closes at a profit of">{profit(row.max_profit, 0)} {room(gained === null ? null : -gained, "reached, past by")}</Figure>
          <Figure name="Trail">{row.trailing_stop === null ? (row.trail_from === null ? "—" : `begins above ${profit(row.trail_from, 0)}`) : `${profit(row.trailing_stop, 0)}, best ${profit(row.peak, 0)}`} {room(from(row.trailing_stop), "breached by")}</Figure>
          <Figure name="Net Δ (units), Γ">{number(row.delta, 1)}, {number(row.gamma, 3)}</Figure>
          <Figure name="Net Θ (₹ a day), vega (₹ a point)">{compact(row.theta)}, {compact(row.vega)}</Figure>
          <Figure name="By the clock">{clock(row.closes_ms)}</Figure>
          {row.supertrend && <Figure name="Supertrend">{row.supertrend}</Figure>}
        </Figures>
        <Scrolled className="two-lines" label={`legs of ${row.strategy}, run of ${clock(row.opened_ms)}`}>
          <table>
            <thead>
              <tr>
                {["Leg", "Units", "P&L", "Last ₹", "Average ₹", ...levels.map(([name]) => name)].map((name, index) => (
                  <th key={name} scope="col" className={`${index ? "num" : ""} ${index > 3 ? "hide-narrow" : ""}`}>
                    <span>{name}</span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {legs.map((leg) => (
                <tr key={`${leg.account} ${leg.instrument} ${leg.product}`}>
                  <td className="text">
                    <InstrumentName instrument={leg.instrument} title={`${leg.account} ${leg.instrument} ${leg.product}`} />
                    {levels.map(([name, kind, of]) => of(leg) !== null && <div key={name} className="small only-narrow">{name.replace(" ₹", "").toLowerCase()} <Level kind={kind} level={of(leg)} last={leg.ltp} units={leg.quantity} /></div>)}
                  </td>
                  <td className="num">{units(leg.quantity)}</td>
                  <td className="num"><Profit value={leg.profit} /></td>
                  <td className="num">{price(leg.ltp)}</td>
                  <td className="num hide-narrow">{price(leg.average_price)}</td>
                  {levels.map(([name, kind, of]) => <td key={name} className="num hide-narrow"><Level kind={kind} level={of(leg)} last={leg.ltp} units={leg.quantity} /></td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolled>
      </div>
    </Card>
  );
}

export const held = (row: PositionRow): string => `${units(row.quantity || row.quantity_seen)} ${symbol(row.instrument)} ${row.product} in ${row.account}`;
