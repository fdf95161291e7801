/** A price at which a position is closed, and how far the last price is from it: points and %, or that it went past. */
import { percent, price, UNKNOWN } from "./format";

type Kind = "stop" | "target";

/** Points that the price may still go until it is at the level; negative beyond it. Null while something is unknown. */
export function distanceTo(kind: Kind, level: number | null, last: number | null, units: number): number | null {
  if (level === null || last === null || !units) return null;
  return (last - level) * Math.sign(units) * (kind === "stop" ? 1 : -1);
}

const PAST: Record<Kind, string> = { stop: "breached by", target: "reached, past by" };

/** The distance in words: "12.50 (8.1 %) away", "breached by 3.20 (2.0 %)". */
export function distanceText(kind: Kind, distance: number | null, last: number | null): string {
  if (distance === null) return "";
  const share = last ? ` (${percent(Math.abs(distance) / last)})` : "";
  return distance > 0 ? `${price(distance)}${share} away` : `${PAST[kind]} ${price(Math.abs(distance))}${share}`;
}

/** Level and distance; `units` are signed. A stop that the price went beyond is said in words and colour. */
export function Level(props: { kind: Kind; level: number | null; last: number | null; units: number }) {
  if (props.level === null) return <>{UNKNOWN}</>;
  return (
    <span className="nowrap">
      {price(props.level)} <Distance {...props} distance={distanceTo(props.kind, props.level, props.last, props.units)} />
    </span>
  );
}

/** The distance alone. */
export function Distance(props: { kind: Kind; distance: number | null; last: number | null }) {
  const { kind, distance, last } = props;
  const past = distance !== null && distance <= 0;
  return <span className={`small ${past ? (kind === "stop" ? "loss strong" : "gain") : "muted"}`}>{distanceText(kind, distance, last)}</span>;
}
