/** Signals of strategies and webhooks with what became of each in every account; refused ones with rule and numbers. */
import { useState } from "react";
import type { SignalRow } from "../generated/api";
import { useKeptList } from "../live/list";
import { price, symbol, units, when } from "../ui/format";
import { Card, Page, Tabs } from "../ui/parts";
import { Result, Side } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { WhyButton, WhyDialog } from "../ui/why";

const COLUMNS: readonly Column<SignalRow>[] = [
  { id: "time", name: "Time", value: (row) => row.created_ms, cell: (row) => when(row.created_ms) },
  { id: "strategy", name: "Strategy", value: (row) => row.strategy },
  { id: "action", name: "Wants", value: (row) => row.action, cell: (row) => <Side value={row.action} /> },
  { id: "result", name: "Result", value: (row) => row.result, cell: (row) => <Result value={row.result} /> },
  { id: "watch", name: "Instrument", value: (row) => row.watch || row.legs.map((leg) => leg.instrument).join(" "), cell: (row) => <Target row={row} /> },
  { id: "price", name: "At ₹", num: true, extra: true, value: (row) => row.price, cell: (row) => price(row.price) },
  { id: "accounts", name: "By account", extra: true, value: (row) => row.accounts.map((one) => `${one.account} ${one.result}`).join(" "), cell: (row) => <Accounts row={row} /> },
  { id: "reason", name: "Reason", fold: true, value: (row) => [...row.denied, row.reason].join(" "), cell: (row) => <span className="small" title={[...row.denied, row.reason].join("\n")}>{row.denied[0] ?? row.reason}</span> },
];

function Target({ row }: { row: SignalRow }) {
  if (!row.legs.length) return symbol(row.watch);
  const text = row.legs.map((leg) => `${units(leg.lots)} ${Math.abs(leg.lots) === 1 ? "lot" : "lots"} ${symbol(leg.instrument)}`).join(", ");
  return <span title={text}>{row.legs.length > 1 ? `${row.legs.length} legs of ${symbol(row.watch)}` : text}</span>;
}

function Accounts({ row }: { row: SignalRow }) {
  return (
    <span className="small">
      {row.accounts.map((one) => (
        <span key={one.account} title={one.reason}>
          {one.account}: {one.result} {one.orders ? `(${one.orders} order${one.orders > 1 ? "s" : ""})` : ""}{" "}
        </span>
      ))}
    </span>
  );
}

const key = (row: SignalRow): string => row.id;
const signalledAt = (row: SignalRow): number | null => row.created_ms;
const SHOWN = ["All", "Refused"] as const;

export default function Signals() {
  const signals = useKeptList("signals", signalledAt);
  const [shown, setShown] = useState<(typeof SHOWN)[number]>("All");
  const [why, setWhy] = useState("");
  const [actions] = useState(() => (row: SignalRow) => <WhyButton name={row.id} onPress={() => setWhy(row.id)} />);
  const rows = shown === "All" ? signals.rows : signals.rows.filter((row) => row.denied.length);
  return (
    <Page title="Signals" actions={<Tabs label="Which signals" names={SHOWN} value={shown} onChange={setShown} />}>
      {signals.note}
      <Card plain>
        <Table label="signals" csv="signals" rows={rows} loaded={signals.loaded} columns={COLUMNS} rowKey={key} choose={["strategy", "action", "result"]} sort={{ id: "time", desc: true }} actions={actions} empty="No signal yet today." tools={signals.tools} />
      </Card>
      {why && <WhyDialog id={why} onClose={() => setWhy("")} />}
    </Page>
  );
}
