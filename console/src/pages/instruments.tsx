/** Search in the master contract of today. */
import { useDeferredValue, useState } from "react";
import { useAnswer } from "../api/hooks";
import type { InstrumentRow } from "../generated/api";
import { day, number, price } from "../ui/format";
import { Card, ErrorNote, Page } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const COLUMNS: readonly Column<InstrumentRow>[] = [
  { id: "id", name: "Instrument", value: (row) => row.id, cell: (row) => <code>{row.id}</code> },
  { id: "kind", name: "Kind", value: (row) => row.kind, extra: true },
  { id: "underlying", name: "Underlying", value: (row) => row.underlying, extra: true },
  { id: "expiry", name: "Expiry", value: (row) => row.expiry, cell: (row) => day(row.expiry) },
  { id: "strike", name: "Strike ₹", num: true, value: (row) => row.strike, cell: (row) => price(row.strike) },
  { id: "lot", name: "Lot (units)", num: true, value: (row) => row.lot, cell: (row) => number(row.lot) },
  { id: "tick", name: "Tick ₹", num: true, extra: true, value: (row) => row.tick, cell: (row) => price(row.tick) },
  { id: "freeze", name: "Freeze (units)", num: true, extra: true, value: (row) => row.freeze || null, cell: (row) => number(row.freeze || null) },
];

const NONE: readonly InstrumentRow[] = [];
/** So many are asked for: a name that more have is to be made longer. */
const MOST = 500;
const key = (row: InstrumentRow): string => row.id;

export default function Instruments() {
  const [query, setQuery] = useState("NIFTY");
  const asked = useDeferredValue(query.trim());
  const answer = useAnswer<InstrumentRow[]>(asked.length >= 2 ? "/api/instruments" : null, { query: asked, limit: MOST });
  return (
    <Page title="Instruments">
      <Card plain>
        <div className="inside">
          <label className="field">
            Symbol, at least two characters
            <input type="search" value={query} onChange={(event) => setQuery(event.target.value)} />
          </label>
          <ErrorNote error={answer.error} />
          {answer.data?.length === MOST && <p className="warn small">The first {MOST}, of more: type further letters, a strike or a month. Search, choices and CSV cover these alone.</p>}
        </div>
        <Table label="instruments" csv="instruments" rows={answer.data ?? NONE} loaded={!answer.busy} columns={COLUMNS} rowKey={key} choose={["kind", "expiry"]} empty="No instrument has these letters." />
      </Card>
    </Page>
  );
}
