/** A report drawn from its `report.json`: verdict, figures, notes, tables, charts. */
import { Suspense, useMemo, useState } from "react";
import { Payoff } from "../charts/payoff";
import { payoffFacts, type PricedLeg } from "../charts/payoff_math";
import type { Report, ReportChart, ReportPayoff, ReportSection, ReportTable } from "../generated/api";
import { latePart } from "../live/late_parts";
import { number, profit } from "../ui/format";
import { Card, Figure, Figures } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { type Cell, cellText, cellTone, valueOf, written } from "./values";
import { HeatMap, XyChart } from "./xy_chart";

const TimeChart = latePart(() => import("./time_chart"));

export function ReportView({ report }: { report: Report }) {
  return (
    <>
      {report.verdict && <div className={`note ${{ good: "good", bad: "bad", warn: "care", "": "" }[report.verdict.tone ?? ""]}`}>{written(report.verdict.value, report.verdict.unit)}</div>}
      {report.cards && report.cards.length > 0 && (
        <Card>
          <Figures>
            {report.cards.map((card) => (
              <Figure key={card.name} name={card.name}>
                <span className={cellTone(card.value, { name: card.name })}>{written(card.value.value, card.value.unit, card.value.digits)}</span>
              </Figure>
            ))}
          </Figures>
        </Card>
      )}
      {report.notes?.map((note) => <div key={note} className="note">{note}</div>)}
      {report.sections?.map((section) => <Section key={section.title} section={section} />)}
    </>
  );
}

function Section({ section }: { section: ReportSection }) {
  return (
    <Card title={section.title}>
      <div className="stack">
        {section.blocks.map((block, index) => {
          const key = `${block.type}${index}`;
          switch (block.type) {
            case "note":
              return <p key={key}>{block.text}</p>;
            case "table":
              return <ReportTableView key={key} table={block} />;
            case "payoff":
              return <PayoffView key={key} payoff={block} />;
            case "chart":
              return <ChartView key={key} chart={block} />;
            default:
              return null;
          }
        })}
      </div>
    </Card>
  );
}

export function ChartView({ chart }: { chart: ReportChart }) {
  const heat = chart.series?.filter((one) => one.draw === "heat") ?? [];
  return (
    <div>
      {chart.title && <h3>{chart.title}</h3>}
      {heat.length ? (
        heat.map((one) => <HeatMap key={one.name} chart={chart} series={one} />)
      ) : (chart.x ?? "time") === "time" ? (
        <Suspense fallback={<div style={{ height: chart.height ?? 360 }} />}>
          <TimeChart chart={chart} />
        </Suspense>
      ) : (
        <XyChart chart={chart} />
      )}
    </div>
  );
}

interface Line {
  key: string;
  cells: readonly Cell[];
}

const lineKey = (line: Line): string => line.key;

function ReportTableView({ table }: { table: ReportTable }) {
  const columns = useMemo(
    () =>
      table.columns.map(
        (column, index): Column<Line> => ({
          id: `${index}`,
          name: column.name,
          num: Boolean(column.unit && column.unit !== "text"),
          value: (line) => valueOf(line.cells[index] ?? null),
          cell: (line) => {
            const cell = line.cells[index] ?? null;
            return <span className={cellTone(cell, column)}>{cellText(cell, column)}</span>;
          },
        }),
      ),
    [table],
  );
  const rows = useMemo(() => table.rows.map((cells, index): Line => ({ key: `${index}`, cells })), [table]);
  return (
    <div>
      {table.title && <h3>{table.title}</h3>}
      <Table plain={rows.length < 20} label={table.title || "table"} csv="table" rows={rows} columns={columns} rowKey={lineKey} empty="None." />
    </div>
  );
}

function PayoffView({ payoff }: { payoff: ReportPayoff }) {
  const [day, setDay] = useState(0);
  const days = payoff.years * 365;
  const options = payoff.legs.filter((leg) => leg.kind === "CE" || leg.kind === "PE");
  const legs = options.map((leg): PricedLeg => ({ kind: leg.kind === "CE" ? "call" : "put", strike: leg.strike ?? 0, quantity: leg.units, entry: leg.price, iv: leg.volatility ?? 0 }));
  const iv = legs.length ? legs.reduce((sum, leg) => sum + leg.iv, 0) / legs.length : 0;
  if (options.length !== payoff.legs.length) return <p className="muted">Legs of shares or futures: see the report's own page.</p>;
  const facts = payoffFacts(legs, payoff.spot, iv, days);
  return (
    <div className="stack">
      <Payoff legs={legs} forward={payoff.spot} sigma={payoff.spot * iv * Math.sqrt(payoff.years)} days={Math.max(days - day, 0)} ivShift={0} breakevens={facts.breakevens} />
      <label className="field">
        Day: {number(days - day, 1)} days before expiry
        <input type="range" min={0} max={days} step={days / 100 || 1} value={day} onChange={(event) => setDay(event.target.valueAsNumber)} />
      </label>
      <p className="muted small">
        Most profit {Number.isFinite(facts.maxProfit) ? profit(facts.maxProfit, 0) : "unlimited"}, most loss {Number.isFinite(facts.maxLoss) ? profit(facts.maxLoss, 0) : "unlimited"}.
      </p>
    </div>
  );
}
