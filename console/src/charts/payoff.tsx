/** Payoff: profit at expiry (solid), at a chosen day and volatility (dashed), breakevens, the forward and its 1 and 2 sigma. */
import { useRef, useState } from "react";
import { compact, number, profit } from "../ui/format";
import { payoffReach, type PricedLeg, profitAt } from "./payoff_math";

interface Props {
  legs: readonly PricedLeg[];
  /** The price that the market expects at expiry; the spot where no other is known. */
  forward: number;
  /** In words, "forward to 29 Dec 26,149"; without it the forward is the spot. */
  forwardName?: string;
  /** The last price of the underlying, if it is drawn beside the forward. */
  spot?: number | null;
  /** One standard deviation of the underlying until expiry, rupees. */
  sigma: number;
  days: number;
  ivShift: number;
  breakevens: readonly number[];
  /** A price of the underlying whose profit is told while nothing is pointed at; null for the forward. */
  chosen?: number | null;
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [760, 330, 90, 26, 12];
const POINTS = 240;

export function Payoff(props: Props) {
  const { legs, forward, sigma } = props;
  const [pointed, setAt] = useState<number | null>(null);
  const at = pointed ?? props.chosen ?? null;
  const place = useRef<SVGSVGElement>(null);
  const strikes = legs.map((leg) => leg.strike);
  const reach = payoffReach(legs, forward, sigma);
  const [low, high] = [forward - reach, forward + reach];
  const xs = [...new Set([...Array.from({ length: POINTS + 1 }, (_, index) => low + ((high - low) * index) / POINTS), ...strikes])].filter((x) => x >= low && x <= high).sort((a, b) => a - b);
  const end = xs.map((x) => profitAt(legs, x, 0, 0));
  const now = xs.map((x) => profitAt(legs, x, props.days, props.ivShift));
  const [least, most] = [Math.min(...end, ...now, 0), Math.max(...end, ...now, 0)];
  const room = (most - least || 1) * 0.06;
  const x = (value: number): number => LEFT + ((value - low) / (high - low)) * (WIDTH - LEFT - 8);
  const y = (value: number): number => TOP + ((most + room - value) / (most - least + 2 * room || 1)) * (HEIGHT - TOP - BOTTOM);
  const path = (values: readonly number[]): string => values.map((value, index) => `${index ? "L" : "M"}${x(xs[index] ?? 0).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const area = (keep: (value: number) => number): string => `${path(end.map(keep))}L${x(xs.at(-1) ?? 0)} ${y(0)}L${x(xs[0] ?? 0)} ${y(0)}Z`;
  const seen = at ?? forward;
  const spot = props.spot != null && props.spot > low && props.spot < high ? props.spot : null;
  const ticks = [0.1, 0.3, 0.5, 0.7, 0.9].map((share) => low + (high - low) * share);
  const heights = [least, (least + most) / 2, most].filter((value) => Math.abs(y(value) - y(0)) > 14);

  function move(event: { clientX: number }) {
    const box = place.current?.getBoundingClientRect();
    if (!box) return;
    const inside = ((event.clientX - box.left) / box.width) * WIDTH;
    setAt(Math.min(Math.max(low + ((inside - LEFT) / (WIDTH - LEFT - 8)) * (high - low), low), high));
  }

  return (
    <div className="stack">
      <svg ref={place} className="payoff" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Payoff at expiry, from ${profit(least, 0)} to ${profit(most, 0)}`} onPointerMove={move} onPointerLeave={() => setAt(null)}>
        <path d={area((value) => Math.max(value, 0))} className="win" />
        <path d={area((value) => Math.min(value, 0))} className="lose" />
        {[-2, -1, 1, 2].map((times) => {
          const edge = forward + times * sigma;
          return edge > low && edge < high ? (
            <g key={times}>
              <line x1={x(edge)} x2={x(edge)} y1={TOP} y2={HEIGHT - BOTTOM} className="axis" />
              <text x={x(edge)} y={TOP + 8} textAnchor="middle">{times > 0 ? "+" : "−"}{Math.abs(times)}σ</text>
            </g>
          ) : null;
        })}
        <line x1={LEFT} x2={WIDTH - 8} y1={y(0)} y2={y(0)} className="zero" />
        <text x={LEFT - 6} y={y(0) + 4} textAnchor="end">0</text>
        {heights.map((value) => (
          <text key={value} x={LEFT - 6} y={y(value) + 4} textAnchor="end">{compact(value)}</text>
        ))}
        {ticks.map((value) => (
          <text key={value} x={x(value)} y={HEIGHT - 8} textAnchor="middle">{number(value)}</text>
        ))}
        <line x1={x(forward)} x2={x(forward)} y1={TOP} y2={HEIGHT - BOTTOM} className="forward" />
        {spot !== null && <line x1={x(spot)} x2={x(spot)} y1={TOP} y2={HEIGHT - BOTTOM} className="spot" />}
        <path d={path(end)} className="end" />
        <path d={path(now)} className="now" />
        {props.breakevens.filter((value) => value > low && value < high).map((value) => (
          <g key={value}>
            <circle cx={x(value)} cy={y(0)} r={3.5} className="mark" />
            <text x={x(value)} y={y(0) - 8} textAnchor="middle">{number(value)}</text>
          </g>
        ))}
        {at !== null && <line x1={x(at)} x2={x(at)} y1={TOP} y2={HEIGHT - BOTTOM} className="zero" />}
      </svg>
      <div className="legend">
        <span>underlying at {number(seen)}</span>
        <span>at expiry {profit(profitAt(legs, seen, 0, 0), 0)}</span>
        <span>at the chosen day {profit(profitAt(legs, seen, props.days, props.ivShift), 0)}</span>
        <span>
          solid: expiry, dashed: the chosen day, yellow: {props.forwardName ?? "spot"}
          {spot !== null && `, blue: spot ${number(spot)}`}
        </span>
      </div>
    </div>
  );
}
