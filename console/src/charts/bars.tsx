/** Two bars per name, as SVG: open interest of calls and puts by strike. */
import { compact } from "../ui/format";

export interface BarRow {
  name: string;
  mark?: boolean;
  a: number | null;
  b: number | null;
}

export function Bars(props: { rows: readonly BarRow[]; label: string; unit: string }) {
  const most = Math.max(...props.rows.flatMap((row) => [row.a ?? 0, row.b ?? 0]), 1);
  const [width, height, base] = [Math.max(props.rows.length, 1) * 20, 200, 182];
  const scale = (value: number | null): number => ((value ?? 0) / most) * (base - 16);
  const every = Math.ceil(props.rows.length / 9);
  return (
    <svg className="bars" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${props.label}, most ${compact(most)} ${props.unit}`}>
      {props.rows.map((row, index) => (
        <g key={row.name}>
          {row.mark && <rect x={index * 20} y={0} width={20} height={base} className="bar-mark" />}
          <rect x={index * 20 + 3} y={base - scale(row.a)} width={7} height={scale(row.a)} className="bar-a" />
          <rect x={index * 20 + 10} y={base - scale(row.b)} width={7} height={scale(row.b)} className="bar-b" />
          <title>{`${row.name}: calls ${compact(row.a)}, puts ${compact(row.b)}`}</title>
          {index % every === 0 && (
            <text x={index * 20 + 10} y={height - 4} textAnchor="middle">
              {row.name}
            </text>
          )}
        </g>
      ))}
    </svg>
  );
}
