/** A report's chart over numbers or categories, as SVG: lines, bars and points; and heat maps as tables. */
import type { ChartSeries, ReportChart } from "../generated/api";
import { Scrolled } from "../ui/parts";
import { type Scalar, shadesOf, written } from "./values";

const [LEFT, RIGHT, BOTTOM, TOP] = [72, 14, 40, 10];
/** Units of the drawing: fewer on a phone, where its text would become too small to read. */
const drawnWidth = (): number => (window.innerWidth < 640 ? 420 : 760);
const numbers = (values: readonly Scalar[]): number[] => values.filter((value): value is number => typeof value === "number");

export function XyChart({ chart }: { chart: ReportChart }) {
  const panels = chart.panels?.length ? chart.panels : [{}];
  return (
    <>
      {panels.map((_, index) => (
        // panels have no other name than their place
        <Panel key={index} chart={chart} index={index} />
      ))}
    </>
  );
}

function Panel({ chart, index }: { chart: ReportChart; index: number }) {
  const panel = chart.panels?.[index] ?? {};
  const series = (chart.series ?? []).filter((one) => (one.panel ?? 0) === index && !one.hidden);
  const shades = shadesOf(series);
  const category = chart.x === "category";
  const names = category ? [...new Set(series.flatMap((one) => one.x.map(String)))] : [];
  const place = (value: Scalar | undefined): number | null => (category ? names.indexOf(String(value)) : typeof value === "number" ? value : null);
  const xs = series.flatMap((one) => one.x.map(place)).filter((value): value is number => value !== null);
  const ys = series.flatMap((one) => numbers(one.y));
  if (!xs.length || !ys.length) return <p className="muted">{panel.title} Nothing to draw.</p>;
  const lines = (chart.lines ?? []).filter((one) => (one.panel ?? 0) === index);
  const bars = series.some((one) => one.draw === "bars");
  const step = bars ? gap(xs) : 0;
  const across = [...xs, ...numbers(lines.filter((one) => one.axis === "x").map((one) => one.value))];
  const [low, high] = [Math.min(...across) - step / 2, Math.max(...across) + step / 2];
  const upright = [...ys, ...(bars ? [0] : []), ...numbers(lines.filter((one) => one.axis === "y").map((one) => one.value))];
  const [least, most] = [Math.min(...upright), Math.max(...upright)];
  const height = Math.max(((chart.height ?? 360) * (panel.share ?? 1)) / Math.max(chart.panels?.length ?? 1, 1), 150);
  const WIDTH = drawnWidth();
  const x = (value: number): number => LEFT + ((value - low) / (high - low || 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => TOP + ((most - value) / (most - least || 1)) * (height - TOP - BOTTOM);
  const whole = xs.every(Number.isInteger) && high - low >= 4;
  const wide = Math.max(((WIDTH - LEFT) / Math.max(names.length || (high - low) / (step || 1), 1)) * 0.8, 1);
  const ticks = category ? names.map((_, at) => at).filter((at) => at % Math.ceil(names.length / 8) === 0) : (WIDTH < 500 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((share) => low + (high - low) * share).map((value) => (whole ? Math.round(value) : value));
  return (
    <figure className="xy">
      {panel.title && <figcaption className="muted small">{panel.title}</figcaption>}
      <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={`${chart.title ?? ""} ${panel.title ?? ""} ${series.map((one) => one.name).join(", ")}`}>
        {[0, 0.5, 1].map((share) => {
          const value = least + (most - least) * share;
          return (
            <g key={share}>
              <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(value)} y2={y(value)} className="axis" />
              <text x={LEFT - 6} y={y(value) + 4} textAnchor="end">{written(value, panel.unit ?? "number", panel.unit === "integer" ? 0 : undefined)}</text>
            </g>
          );
        })}
        {ticks.map((value) => (
          <text key={value} x={x(value)} y={height - 22} textAnchor={x(value) > WIDTH - 40 ? "end" : "middle"}>{category ? names[value] : written(value, chart.x_unit ?? "number", chart.x_unit === "integer" || whole || high - low > 50 ? 0 : undefined)}</text>
        ))}
        {chart.x_title && <text x={(WIDTH + LEFT) / 2} y={height - 6} textAnchor="middle">{chart.x_title}</text>}
        {series.map((one, order) => {
          const shade = `s-${shades[order]}`;
          const dots = one.x.map((value, at) => ({ at, x: place(value), y: one.y[at] })).filter((dot): dot is { at: number; x: number; y: number } => dot.x !== null && typeof dot.y === "number");
          if (one.draw === "bars") {
            return (
              <g key={one.name} className={shade}>
                {dots.map((dot) => (
                  <rect key={dot.at} x={x(dot.x) - wide / 2} width={wide} y={Math.min(y(dot.y), y(0))} height={Math.abs(y(dot.y) - y(0))} className={one.signed ? (dot.y < 0 ? "s-loss" : "s-gain") : undefined}>
                    <title>{tip(chart, one, dot.at)}</title>
                  </rect>
                ))}
              </g>
            );
          }
          if (one.draw === "marks") {
            return (
              <g key={one.name} className={shade}>
                {dots.map((dot) => (
                  <circle key={dot.at} cx={x(dot.x)} cy={y(dot.y)} r={3.2} className={one.hollow ? "hollow" : undefined}>
                    <title>{tip(chart, one, dot.at)}</title>
                  </circle>
                ))}
              </g>
            );
          }
          return <path key={one.name} className={`${shade} drawn ${one.dashed ? "dashed" : ""}`} d={dots.map((dot, at) => `${at ? "L" : "M"}${x(dot.x).toFixed(1)} ${y(dot.y).toFixed(1)}`).join("")} />;
        })}
        {lines.map((one) => {
          const at = place(one.value);
          if (one.axis === "y" && typeof one.value === "number") return <line key={`y${one.value}`} x1={LEFT} x2={WIDTH - RIGHT} y1={y(one.value)} y2={y(one.value)} className="guide" />;
          return at === null ? null : (
            <g key={`x${one.value}`}>
              <line x1={x(at)} x2={x(at)} y1={TOP} y2={height - BOTTOM} className="guide" />
              {one.text && <text x={x(at) + (x(at) > WIDTH * 0.7 ? -4 : 4)} y={TOP + 9} textAnchor={x(at) > WIDTH * 0.7 ? "end" : "start"}>{one.text}</text>}
            </g>
          );
        })}
      </svg>
      {series.length > 1 && (
        <div className="legend">
          {series.map((one, order) => (
            <span key={one.name}><span style={{ color: `var(--${shades[order]})` }}>■</span> {one.name}</span>
          ))}
        </div>
      )}
    </figure>
  );
}

const tip = (chart: ReportChart, series: ChartSeries, at: number): string =>
  series.text?.[at] ?? `${series.name}: ${written(series.x[at] ?? null, chart.x_unit ?? "number")}, ${written(series.y[at] ?? null, chart.panels?.[series.panel ?? 0]?.unit ?? "number")}`;

/** The least distance between neighbours: the width of a bar. */
function gap(values: readonly number[]): number {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  let least = Number.POSITIVE_INFINITY;
  for (let at = 1; at < sorted.length; at++) least = Math.min(least, (sorted[at] ?? 0) - (sorted[at - 1] ?? 0));
  return Number.isFinite(least) ? least : 1;
}

export function HeatMap({ chart, series }: { chart: ReportChart; series: ChartSeries }) {
  const rows = series.cells ?? [];
  const all = rows.flat().filter((value): value is number => value !== null);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const unit = chart.panels?.[series.panel ?? 0]?.unit ?? "number";
  const shade = (value: number | null): string | undefined => {
    if (value === null) return undefined;
    if (chart.diverging) {
      const share = Math.abs(value) / (Math.max(Math.abs(least), Math.abs(most)) || 1);
      return `color-mix(in srgb, var(--${value < 0 ? "loss" : "gain"}) ${Math.round(share * 45)}%, transparent)`;
    }
    const share = (value - least) / (most - least || 1);
    return `color-mix(in srgb, var(--accent) ${Math.round((chart.reverse ? 1 - share : share) * 45)}%, transparent)`;
  };
  const digits = Math.max(Math.abs(least), Math.abs(most)) >= 1000 ? 0 : undefined;
  return (
    <>
    <p className="muted small">Down: {chart.panels?.[0]?.title}. Across: {chart.x_title}.</p>
    <Scrolled label={`${series.name} by ${chart.panels?.[0]?.title ?? ""} and ${chart.x_title ?? ""}`} className="heat">
      <table className="heat-map">
        <thead>
          <tr>
            <th scope="col"><span><span aria-hidden="true">↓ →</span><span className="hidden">{chart.panels?.[0]?.title}</span></span></th>
            {series.x.map((value) => <th key={String(value)} scope="col"><span>{String(value)}</span></th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={String(series.y[at])}>
              <th scope="row"><span>{String(series.y[at])}</span></th>
              {row.map((value, column) => (
                <td key={String(series.x[column])} style={{ background: shade(value) }}>{written(value, unit, digits)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolled>
    </>
  );
}
