/** Completed round trips. */
import { useState } from "react";
import type { ClosedTradeRow } from "../generated/api";
import { useKeptList } from "../live/list";
import { number, percent, price, span, symbol, when } from "../ui/format";
import { InstrumentName } from "../ui/instrument_name";
import { Card, Figure, Figures, Page, Profit } from "../ui/parts";
import { Side } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { WhyButton, WhyDialog } from "../ui/why";

const COLUMNS: readonly Column<ClosedTradeRow>[] = [
  { id: "closed", name: "Closed", value: (row) => row.closed_ms, cell: (row) => when(row.closed_ms) },
  { id: "held", name: "Held", num: true, extra: true, value: (row) => (row.closed_ms ?? 0) - (row.opened_ms ?? 0), cell: (row) => span(((row.closed_ms ?? 0) - (row.opened_ms ?? 0)) / 1000) },
  { id: "account", name: "Account", value: (row) => row.account, extra: true },
  { id: "strategy", name: "Strategy", value: (row) => row.strategy, extra: true },
  { id: "instrument", name: "Instrument", value: (row) => row.instrument, cell: (row) => <InstrumentName instrument={row.instrument} below={`${row.side} ${number(row.quantity)} · ${row.strategy}`} spare /> },
  { id: "product", name: "Product", value: (row) => row.product, extra: true },
  { id: "side", name: "Entered", extra: true, value: (row) => row.side, cell: (row) => <Side value={row.side} /> },
  { id: "quantity", name: "Units", num: true, extra: true, value: (row) => row.quantity, cell: (row) => number(row.quantity) },
  { id: "entry", name: "Entry ₹", num: true, extra: true, value: (row) => row.entry_price, cell: (row) => price(row.entry_price) },
  { id: "exit", name: "Exit ₹", num: true, extra: true, value: (row) => row.exit_price, cell: (row) => price(row.exit_price) },
  { id: "profit", name: "P&L ₹", num: true, value: (row) => row.realised, cell: (row) => <Profit value={row.realised} /> },
];

const key = (row: ClosedTradeRow): string => row.id;
const named = (row: ClosedTradeRow): string => `${row.side} ${number(row.quantity)} ${symbol(row.instrument)} of ${row.strategy}, closed ${when(row.closed_ms)}`;
/** What the trades come to that a filter leaves. */
const sumOf = (rows: readonly ClosedTradeRow[]) => (
  <>
    these: won {number(rows.filter((row) => row.realised > 0).length)}, realised <Profit value={rows.reduce((sum, row) => sum + row.realised, 0)} />
  </>
);
const closedAt = (row: ClosedTradeRow): number | null => row.closed_ms;

export default function Trades() {
  const trades = useKeptList("trades", closedAt);
  const [why, setWhy] = useState<ClosedTradeRow | null>(null);
  const [actions] = useState(() => (row: ClosedTradeRow) => <WhyButton name={named(row)} onPress={() => setWhy(row)} />);
  const { total, won, realised } = trades.extent ?? {
    total: trades.rows.length,
    won: trades.rows.filter((row) => row.realised > 0).length,
    realised: trades.rows.reduce((sum, row) => sum + row.realised, 0),
  };
  return (
    <Page title="Trades">
      <Card>
        <Figures>
          <Figure name="Round trips, all">{number(total)}</Figure>
          <Figure name="Won">{total ? `${number(won)} (${percent(won / total, 0)})` : "—"}</Figure>
          <Figure name="Realised by all, before charges">
            <Profit value={realised} />
          </Figure>
        </Figures>
      </Card>
      {trades.note}
      <Card plain>
        <Table
          label="trades" csv="trades" sum={sumOf} rows={trades.rows} loaded={trades.loaded} columns={COLUMNS} rowKey={key} choose={["account", "strategy"]} sort={{ id: "closed", desc: true }} actions={actions}
          empty="No position was closed yet today." tools={trades.tools}
        />
      </Card>
      {why && <WhyDialog id={why.id} name={named(why)} onClose={() => setWhy(null)} />}
    </Page>
  );
}
