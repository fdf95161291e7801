/** Two bars per name, as SVG: open interest of calls and puts by strike. */
import { compact } from "../ui/format";

export interface BarRow {
  name: string;
  mark?: boolean;
  a: number | null;
  b: number | null;
}

const LABELS = 5;

/** The picture is stretched to its place; the names stand below it, so that they keep their shape at any width. */
export function Bars(props: { rows: readonly BarRow[]; label: string; unit: string }) {
  const most = Math.max(...props.rows.flatMap((row) => [row.a ?? 0, row.b ?? 0]), 1);
  const [width, height] = [Math.max(props.rows.length, 1) * 20, 182];
  const scale = (value: number | null): number => ((value ?? 0) / most) * (height - 16);
  const every = Math.ceil(props.rows.length / LABELS);
  const first = Math.floor(((props.rows.length - 1) % every) / 2);
  return (
    <div className="bars">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${props.label}, most ${compact(most)} ${props.unit}`}>
        {props.rows.map((row, index) => (
          <g key={row.name}>
            {row.mark && <rect x={index * 20} y={0} width={20} height={height} className="bar-mark" />}
            <rect x={index * 20 + 3} y={height - scale(row.a)} width={7} height={scale(row.a)} className="bar-a" />
            <rect x={index * 20 + 10} y={height - scale(row.b)} width={7} height={scale(row.b)} className="bar-b" />
            <title>{`${row.name}: calls ${compact(row.a)}, puts ${compact(row.b)}`}</title>
          </g>
        ))}
      </svg>
      <div className="bar-names" aria-hidden="true">
        {props.rows.map((row, index) => index % every === first && <span key={row.name} style={{ left: `${((index + 0.5) / props.rows.length) * 100}%` }}>{row.name}</span>)}
      </div>
    </div>
  );
}
