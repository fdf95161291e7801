/**
 * Profit of options, futures and shares at expiry and before, by Black's formula on the forward. For pictures only: nothing acts on it.
 *
 * Prices in rupees, quantities in signed units, volatility as a fraction a year, time in days of 365.
 */

export interface PricedLeg {
  kind: "call" | "put" | "future" | "share";
  /** Of a future the forward at which it was entered: it moves with that, rupee for rupee. Of shares their price. */
  strike: number;
  quantity: number;
  /** Price paid or received for a unit. */
  entry: number;
  iv: number;
  /** Days by which it expires after the first leg does; until then it keeps a value of time. */
  laterDays?: number;
  /** What the forward of its expiry is above that of the first one. */
  basis?: number;
  /** Of shares: what the forward of the first expiry gains on them in a day, as a share of one. */
  carry?: number;
}

const DAYS = 365;

/** Distribution function of the normal distribution (Abramowitz and Stegun 26.2.17, error below 7.5e-8). */
export function normal(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x >= 0 ? 1 - tail : tail;
}

/** Undiscounted price of an option on a forward; its value at expiry where no time or volatility is left. */
export function black(kind: "call" | "put", forward: number, strike: number, iv: number, days: number): number {
  const sign = kind === "call" ? 1 : -1;
  const deviation = iv * Math.sqrt(Math.max(days, 0) / DAYS);
  if (deviation <= 0 || forward <= 0) return Math.max(sign * (forward - strike), 0);
  const d1 = Math.log(forward / strike) / deviation + deviation / 2;
  return sign * (forward * normal(sign * d1) - strike * normal(sign * (d1 - deviation)));
}

/** Profit in rupees with the underlying at `at`, `days` before the first expiry, all volatilities moved by `ivShift`. */
export function profitAt(legs: readonly PricedLeg[], at: number, days: number, ivShift: number): number {
  const gain = (leg: PricedLeg): number =>
    leg.kind === "future" ? at - leg.strike : leg.kind === "share" ? at * Math.exp(-(leg.carry ?? 0) * days) - leg.strike : black(leg.kind, at + (leg.basis ?? 0), leg.strike, Math.max(leg.iv + ivShift, 0), days + (leg.laterDays ?? 0)) - leg.entry;
  return legs.reduce((sum, leg) => sum + leg.quantity * gain(leg), 0);
}

export interface PayoffFacts {
  breakevens: number[];
  /** Infinity where it has no bound. */
  maxProfit: number;
  maxLoss: number;
  /** Probability that expiry ends with a profit, with the underlying lognormal around its forward. */
  probability: number;
}

const CURVE_POINTS = 800;

/** Prices, up to six deviations from the forward, between which the profit is taken for straight where some legs expire later. */
function curvePoints(legs: readonly PricedLeg[], forward: number, iv: number, days: number): number[] {
  const latest = Math.max(...legs.map((leg) => leg.laterDays ?? 0), 0);
  if (!latest) return [];
  const reach = 6 * Math.max(iv * Math.sqrt((days + latest) / DAYS), 0.01);
  return Array.from({ length: CURVE_POINTS + 1 }, (_, at) => forward * Math.exp(reach * ((2 * at) / CURVE_POINTS - 1)));
}

/** The reach of a picture on each side of the spot: 2.6 deviations, and every strike. */
export const payoffReach = (legs: readonly PricedLeg[], spot: number, sigma: number): number =>
  Math.max(2.6 * sigma, ...legs.map((leg) => Math.abs(leg.strike - spot) * 1.25), spot * 0.01);

/** Facts of the profit at the first expiry: exact where all legs expire then, since it is a straight line between strikes. */
export function payoffFacts(legs: readonly PricedLeg[], forward: number, iv: number, days: number): PayoffFacts {
  const kinks = [...new Set([...legs.map((leg) => leg.strike), ...curvePoints(legs, forward, iv, days)])].sort((a, b) => a - b);
  const last = kinks.at(-1) ?? forward;
  const slope = legs.reduce((sum, leg) => sum + (leg.kind === "put" ? 0 : leg.quantity), 0);
  const far = last + 2 * forward;
  const places = [0, ...kinks, far];
  const values = places.map((at) => profitAt(legs, at, 0, 0));
  const breakevens: number[] = [];
  let probability = 0;
  const below = (at: number): number => {
    const deviation = iv * Math.sqrt(days / DAYS);
    if (at <= 0) return 0;
    return deviation > 0 ? normal(Math.log(at / forward) / deviation + deviation / 2) : Number(at > forward);
  };
  for (let index = 1; index < places.length; index++) {
    const [left, right, from, to] = [places[index - 1] ?? 0, places[index] ?? 0, values[index - 1] ?? 0, values[index] ?? 0];
    const open = index === places.length - 1;
    const cross = from * to < 0 || (open && from * slope < 0) ? left + (-from * (right - left)) / (to - from) : null;
    if (cross !== null) breakevens.push(cross);
    else if (from === 0 && to !== 0 && index > 1 && (values[index - 2] ?? 0) * to < 0) breakevens.push(left);
    const end = open ? 1 : below(right);
    if (cross === null) probability += from + to > 0 ? end - below(left) : 0;
    else probability += from > 0 ? below(cross) - below(left) : end - below(cross);
  }
  const bounded = values.slice(0, -1);
  return {
    breakevens,
    maxProfit: slope > 0 ? Number.POSITIVE_INFINITY : Math.max(...bounded),
    maxLoss: slope < 0 ? Number.NEGATIVE_INFINITY : Math.min(...bounded),
    probability,
  };
}
