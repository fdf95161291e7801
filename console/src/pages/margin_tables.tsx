/** The tables of config/risk.toml as they count today: what a lot needs, lots and freeze quantities, profiles and grades. */
import { useAnswer } from "../api/hooks";
import type { MarginTables, RequirementRow } from "../generated/api";
import { day, number, percent, rupees } from "../ui/format";
import { Card, ErrorNote, Figure, Figures } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { ConfigEditor } from "./config_editor";

const both = (other: number, expiry: number): string => (other === expiry ? rupees(other, 0) : `${rupees(other, 0)}, ${rupees(expiry, 0)}`);

const REQUIREMENTS: readonly Column<RequirementRow>[] = [
  { id: "underlying", name: "Underlying", value: (row) => row.underlying, cell: (row) => <span className="strong">{row.underlying}</span> },
  { id: "sold", name: "Option sold", num: true, value: (row) => row.sold, cell: (row) => both(row.sold, row.sold_expiry) },
  { id: "both", name: "Call and put sold", num: true, fold: true, value: (row) => row.both_sold, cell: (row) => both(row.both_sold, row.both_sold_expiry) },
  { id: "future", name: "Future", num: true, fold: true, value: (row) => row.future, cell: (row) => both(row.future, row.future_expiry) },
  { id: "bought", name: "Option bought", num: true, extra: true, value: (row) => row.bought, cell: (row) => rupees(row.bought, 0) },
  { id: "units", name: "For units", num: true, fold: true, value: (row) => row.units || null, cell: (row) => (row.units ? number(row.units) : "a lot") },
  { id: "lot", name: "Lot today", num: true, value: (row) => row.lot, cell: (row) => <span title={row.lot_source}>{number(row.lot)}</span> },
  { id: "freeze", name: "Freeze", num: true, fold: true, value: (row) => row.freeze, cell: (row) => <span title={row.lot_source}>{number(row.freeze)}</span> },
  { id: "source", name: "Lots by", extra: true, value: (row) => row.lot_source, cell: (row) => <span className="small muted">{row.lot_source}</span> },
  { id: "most", name: "Most lots", title: "Of an order", num: true, fold: true, value: (row) => row.most_lots, cell: (row) => number(row.most_lots) },
  { id: "since", name: "Since", extra: true, value: (row) => row.since, cell: (row) => day(row.since) },
];
const key = (row: RequirementRow): string => row.underlying;
const NONE: readonly RequirementRow[] = [];

export function MarginTablesCards() {
  const answer = useAnswer<MarginTables>("/api/margin/tables");
  const tables = answer.data;
  return (
    <>
      <Card title="What a lot needs ₹" plain actions={<span className="muted small">on a day before expiry, on the day of expiry</span>}>
        <ErrorNote error={answer.error} />
        <Table plain label="margin requirements" rows={tables?.requirements ?? NONE} loaded={!answer.busy} columns={REQUIREMENTS} rowKey={key} empty="No table: config/risk.toml." />
        {tables && (
          <div className="inside">
            <Figures>
              {Object.entries(tables.shares).map(([name, share]) => <Figure key={name} name={name.length === 1 ? `Grade ${name}` : name}>{percent(share, 0)}</Figure>)}
              <Figure name="Most lots a leg">{number(tables.most_lots_per_leg)}</Figure>
            </Figures>
            <p className="muted small">Shares of free margin that a signal of a profile or grade may take.</p>
          </div>
        )}
      </Card>
      <ConfigEditor name="risk" title="Margins, lots and grades" onSaved={answer.again} />
    </>
  );
}
