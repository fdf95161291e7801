/** Orders: filters, modify, cancel, resolve, why. */
import { useState } from "react";
import { useRole } from "../api/session";
import { type Act, type Column, Table } from "../ui/table";
import type { OrderRow } from "../generated/api";
import { useKeptList } from "../live/list";
import { number, price, symbol, when, words } from "../ui/format";
import { InstrumentName } from "../ui/instrument_name";
import { Card, Page, Tabs } from "../ui/parts";
import { OrderState, Side } from "../ui/states";
import { WhyButton, WhyDialog } from "../ui/why";
import { CancelDialog, ModifyDialog, ResolveDialog } from "./order_dialogs";

export const ORDER_COLUMNS: readonly Column<OrderRow>[] = [
  { id: "time", name: "Time", value: (row) => row.created_ms, cell: (row) => when(row.created_ms) },
  { id: "instrument", name: "Instrument", value: (row) => row.instrument, cell: (row) => <InstrumentName instrument={row.instrument} title={`${row.instrument} ${row.product}`} below={[row.strategy, words(row.purpose)].filter(Boolean).join(" · ")} spare /> },
  { id: "side", name: "Side", value: (row) => row.side, cell: (row) => <Side value={row.side} /> },
  { id: "state", name: "State", flash: true, value: (row) => row.state, cell: (row) => <OrderState state={row.state} pending={row.pending} waits={row.waits} /> },
  { id: "quantity", name: "Filled / units", num: true, flash: true, value: (row) => row.filled, cell: (row) => `${number(row.filled)} / ${number(row.quantity)}` },
  { id: "price", name: "Price ₹", num: true, value: (row) => row.price || null, cell: (row) => <OrderPrice row={row} /> },
  { id: "average", name: "Average ₹", num: true, extra: true, value: (row) => row.average_price || null, cell: (row) => price(row.average_price || null) },
  { id: "purpose", name: "Purpose", value: (row) => row.purpose, extra: true, cell: (row) => <>{row.purpose} {row.order_type !== "MARKET" && <span className="muted small">{row.order_type}</span>}</> },
  { id: "type", name: "Type", value: (row) => row.order_type, hidden: true },
  { id: "strategy", name: "Strategy", value: (row) => row.strategy, extra: true },
  { id: "account", name: "Account", value: (row) => row.account, extra: true },
  { id: "message", name: "Message", extra: true, value: (row) => row.message || row.reason, cell: (row) => <span className="small" title={row.message || row.reason}>{row.message || row.reason}</span> },
];

function OrderPrice({ row }: { row: OrderRow }) {
  const limit = row.price ? price(row.price) : row.order_type === "MARKET" ? "market" : "—";
  return row.trigger_price ? <>trigger {price(row.trigger_price)}<div className="muted small">limit {limit}</div></> : limit;
}

const SHOWN = ["All", "Live", "Needs a person", "Ended badly"] as const;
type Shown = (typeof SHOWN)[number];

const FILTER: Record<Shown, (row: OrderRow) => boolean> = {
  All: () => true,
  Live: (row) => row.live,
  "Needs a person": (row) => row.unknown || row.state === "PARKED",
  "Ended badly": (row) => ["REJECTED", "DENIED", "LOST", "GHOST", "UNKNOWN"].includes(row.state),
};

type ChosenAction = { kind: "why" | "cancel" | "modify" | "resolve"; id: string };

export default function Orders() {
  const orders = useKeptList("orders", orderedAt);
  const [shown, setShown] = useState<Shown>("All");
  const [chosen, setChosen] = useState<ChosenAction | null>(null);
  const trader = useRole("trader");
  const [actions] = useState(() => orderActions(setChosen));
  const rows = shown === "All" ? orders.rows : orders.rows.filter(FILTER[shown]);
  const close = () => setChosen(null);
  return (
    <Page title="Orders" actions={<Tabs label="Which orders" names={SHOWN} value={shown} onChange={setShown} />}>
      {orders.note}
      <Card plain>
        <Table
          label="orders" csv="orders" rows={rows} loaded={orders.loaded} columns={ORDER_COLUMNS} rowKey={orderKey}
          choose={["account", "strategy", "purpose", "state"]} sort={{ id: "time", desc: true }}
          actions={trader ? actions.trader : actions.viewer} empty="No orders yet today."
          tools={orders.tools}
        />
      </Card>
      {chosen?.kind === "why" && <WhyDialog id={chosen.id} onClose={close} />}
      {chosen?.kind === "cancel" && <CancelDialog id={chosen.id} onClose={close} />}
      {chosen?.kind === "modify" && <ModifyDialog id={chosen.id} onClose={close} />}
      {chosen?.kind === "resolve" && <ResolveDialog id={chosen.id} onClose={close} />}
    </Page>
  );
}

export const orderKey = (row: OrderRow): string => row.id;
const orderedAt = (row: OrderRow): number | null => row.created_ms;

function orderActions(setChosen: (chosen: ChosenAction) => void) {
  const why = (row: OrderRow) => <WhyButton name={row.id} onPress={() => setChosen({ kind: "why", id: row.id })} />;
  const trader = (row: OrderRow, act: Act) => (
    <>
      {row.live && !row.slices && (
        <>
          <button type="button" className="small" onClick={act(() => setChosen({ kind: "modify", id: row.id }))}>Modify</button>
          <button type="button" className="small" onClick={act(() => setChosen({ kind: "cancel", id: row.id }))}>Cancel</button>
        </>
      )}
      {row.unknown && <button type="button" className="small danger" onClick={act(() => setChosen({ kind: "resolve", id: row.id }))}>Resolve</button>}
      {why(row)}
    </>
  );
  return { trader, viewer: why };
}

export const orderText = (row: OrderRow): string =>
  `${row.side} ${number(row.quantity)} ${symbol(row.instrument)} (${words(row.purpose)}) of ${row.strategy || "no strategy"} in ${row.account}`;
