/** Completed round trips. */
import { useState } from "react";
import type { ClosedTradeRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { DayChoice, dayOf } from "../ui/days";
import { number, percent, price, span, symbol, when } from "../ui/format";
import { Card, Figure, Figures, Page, Profit } from "../ui/parts";
import { Side } from "../ui/states";
import { type Column, Table } from "../ui/table";

const COLUMNS: readonly Column<ClosedTradeRow>[] = [
  { id: "closed", name: "Closed", value: (row) => row.closed_ms, cell: (row) => when(row.closed_ms) },
  { id: "held", name: "Held", num: true, extra: true, value: (row) => (row.closed_ms ?? 0) - (row.opened_ms ?? 0), cell: (row) => span(((row.closed_ms ?? 0) - (row.opened_ms ?? 0)) / 1000) },
  { id: "account", name: "Account", value: (row) => row.account, extra: true },
  { id: "strategy", name: "Strategy", value: (row) => row.strategy },
  { id: "instrument", name: "Instrument", value: (row) => row.instrument, cell: (row) => <span title={row.instrument}>{symbol(row.instrument)}</span> },
  { id: "product", name: "Product", value: (row) => row.product, extra: true },
  { id: "side", name: "Entered", value: (row) => row.side, cell: (row) => <Side value={row.side} /> },
  { id: "quantity", name: "Units", num: true, value: (row) => row.quantity, cell: (row) => number(row.quantity) },
  { id: "entry", name: "Entry ₹", num: true, extra: true, value: (row) => row.entry_price, cell: (row) => price(row.entry_price) },
  { id: "exit", name: "Exit ₹", num: true, extra: true, value: (row) => row.exit_price, cell: (row) => price(row.exit_price) },
  { id: "profit", name: "P&L ₹", num: true, value: (row) => row.realised, cell: (row) => <Profit value={row.realised} /> },
];

const key = (row: ClosedTradeRow): string => row.id;

export default function Trades() {
  const trades = useTopic("trades");
  const [day, setDay] = useState("");
  const rows = day ? trades.rows.filter((row) => dayOf(row.closed_ms) === day) : trades.rows;
  const total = rows.reduce((sum, row) => sum + row.realised, 0);
  const won = rows.filter((row) => row.realised > 0).length;
  return (
    <Page title="Trades">
      <Card>
        <Figures>
          <Figure name="Round trips">{number(rows.length)}</Figure>
          <Figure name="Won">{rows.length ? `${won} (${percent(won / rows.length, 0)})` : "—"}</Figure>
          <Figure name="Realised, before charges">
            <Profit value={total} />
          </Figure>
        </Figures>
      </Card>
      <Card plain>
        <Table label="trades" csv="trades" rows={rows} loaded={trades.loaded} columns={COLUMNS} rowKey={key} choose={["account", "strategy"]} sort={{ id: "closed", desc: true }} empty="No position was closed yet today." tools={<DayChoice times={trades.rows.map((row) => row.closed_ms)} value={day} onChange={setDay} />} />
      </Card>
    </Page>
  );
}
