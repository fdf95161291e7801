/** Legs of the builder: templates, the contracts that they choose in a chain, and what a file of legs says of them. */
import type { ChainCell, ChainFuture, ChainLine } from "../generated/api";

export type How = "offset" | "delta" | "premium" | "strike";
export type Right = "call" | "put" | "future";

/** A leg as a file has it: the keys that the builder knows, null for one that is taken out; others of the file stay. */
export type FileLeg = Record<string, string | number | null>;

export interface Leg {
  id: number;
  side: 1 | -1;
  kind: Right;
  lots: number;
  how: How;
  value: number;
  /** Word of a file: nearest, next, monthly, next_monthly; empty follows the chain that is shown. */
  expiry: string;
  stop: string;
  target: string;
  reentries: number;
  /** A risk profile that decides the lots; empty for none. */
  profile: string;
  /** Its place in the opened file, counted from 1; null for a new one. */
  from: number | null;
  /** What the file says, so that only changes are written. */
  was: FileLeg | null;
  /** A leg that the builder cannot price (shares, another underlying), in words; it stays as it is. */
  kept: string;
}

export const HOW: Record<How, string> = { offset: "strikes from ATM", delta: "delta nearest", premium: "premium ₹ nearest", strike: "strike ₹" };
export const MOST_LEGS = 20;

let nextId = 1;
const EMPTY = { lots: 1, how: "offset" as How, value: 0, expiry: "", stop: "", target: "", reentries: 0, profile: "", from: null, was: null, kept: "" };

/** A new leg; a sold one begins with a stop at twice its premium. */
export const newLeg = (side: 1 | -1, kind: Right, value: number): Leg => ({ ...EMPTY, id: nextId++, side, kind, value, stop: side < 0 ? "100%" : "" });

/** Legs picked in a chain, as `BUY 26000 CE,SELL 26500 CE`; what is none of these is left out. */
export function pickedLegs(text: string): Leg[] {
  return text.split(",").flatMap((word): Leg[] => {
    const found = /^(BUY|SELL) (\d+(?:\.\d+)?) (CE|PE)$/.exec(word);
    return found ? [{ ...newLeg(found[1] === "BUY" ? 1 : -1, found[3] === "CE" ? "call" : "put", Number(found[2])), how: "strike" }] : [];
  });
}

export const TEMPLATES: Record<string, () => Leg[]> = {
  "Short straddle": () => [newLeg(-1, "call", 0), newLeg(-1, "put", 0)],
  "Short strangle": () => [newLeg(-1, "call", 4), newLeg(-1, "put", 4)],
  "Iron condor": () => [newLeg(1, "put", 8), newLeg(1, "call", 8), newLeg(-1, "put", 4), newLeg(-1, "call", 4)],
  "Iron butterfly": () => [newLeg(1, "put", 6), newLeg(1, "call", 6), newLeg(-1, "put", 0), newLeg(-1, "call", 0)],
  "Bull call spread": () => [newLeg(1, "call", 0), newLeg(-1, "call", 4)],
  "Bear put spread": () => [newLeg(1, "put", 0), newLeg(-1, "put", 4)],
  "Long straddle": () => [newLeg(1, "call", 0), newLeg(1, "put", 0)],
};

export interface Found {
  line: ChainLine;
  cell: ChainCell;
}

/** The contract that a leg chooses among lines sorted by strike, null if there is none. */
export function findContract(lines: readonly ChainLine[], leg: Leg): Found | null {
  const sided = lines.flatMap((line): Found[] => {
    const cell = leg.kind === "future" ? null : leg.kind === "call" ? line.call : line.put;
    return cell ? [{ line, cell }] : [];
  });
  const nearest = (far: (one: Found) => number | null): Found | null => {
    let best: Found | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const one of sided) {
      const distance = far(one);
      if (distance === null || distance > least || (distance === least && (one.cell.ltp ?? 0) >= (best?.cell.ltp ?? 0))) continue;
      [best, least] = [one, distance];
    }
    return best;
  };
  switch (leg.how) {
    case "offset": {
      const money = lines.findIndex((line) => line.at_money);
      const line = lines[money + (leg.kind === "call" ? leg.value : -leg.value)];
      return money < 0 || !line ? null : (sided.find((one) => one.line === line) ?? null);
    }
    case "strike":
      return sided.find((one) => one.line.strike === leg.value) ?? null;
    case "delta":
      return nearest((one) => (one.cell.delta === null ? null : Math.abs(Math.abs(one.cell.delta) - Math.abs(leg.value))));
    case "premium":
      return nearest((one) => (one.cell.ltp === null ? null : Math.abs(one.cell.ltp - leg.value)));
  }
}

/** The future that a leg names, as a contract that moves with the forward; null if none is listed. */
export function findFuture(futures: readonly ChainFuture[], leg: Leg, forward: number | null): Found | null {
  const date = expiryDates(futures.map((one) => one.expiry))[leg.expiry || "nearest"];
  const found = futures.find((one) => one.expiry === date);
  if (!found || forward === null) return null;
  const none = { bid: null, ask: null, volume: null, open_interest: null, open_interest_change: null, iv: null };
  return { line: { strike: forward, at_money: false, call: null, put: null }, cell: { ...none, instrument: found.instrument, lot: found.lot, ltp: found.ltp, delta: 1, gamma: 0, theta: 0, vega: 0 } };
}

/** The value with which another way to choose begins: that of the contract chosen so far. */
export function startOf(how: How, at: Found | null): Partial<Leg> {
  const value = { offset: 0, delta: Math.abs(Math.round((at?.cell.delta ?? 0.3) * 100) / 100), premium: Math.round(at?.cell.ltp ?? 50), strike: at?.line.strike ?? 0 }[how];
  return { how, value };
}

/** The dates that the words of a file name today; `expiries` are the listed ones, nearest first. */
export function expiryDates(expiries: readonly string[]): Record<string, string | undefined> {
  const months = expiries.filter((one, at) => expiries[at + 1]?.slice(0, 7) !== one.slice(0, 7));
  return { nearest: expiries[0], next: expiries[1], monthly: months[0], next_monthly: months[1] };
}

/** The word that names an expiry today, empty if no word does. */
export const expiryWord = (expiry: string, expiries: readonly string[]): string => Object.entries(expiryDates(expiries)).find(([, date]) => date === expiry)?.[0] ?? "";

const moneyness = (value: number): string => (value === 0 ? "ATM" : `${value > 0 ? "OTM" : "ITM"} ${Math.abs(value)}`);

/** A leg in the words of a file. */
export function writtenLeg(leg: Leg, expiry: string, times = 1): FileLeg {
  const future = leg.kind === "future";
  const strike = { offset: moneyness(leg.value), delta: `DELTA ${Math.abs(leg.value)}`, premium: `PREMIUM ${leg.value}`, strike: `STRIKE ${leg.value}` }[leg.how];
  return {
    action: leg.side > 0 ? "BUY" : "SELL",
    kind: future ? "future" : null,
    strike: future ? null : strike,
    right: future ? null : leg.kind === "call" ? "CE" : "PE",
    expiry: leg.expiry || (future ? "nearest" : expiry),
    ...(leg.profile ? {} : { lots: leg.lots * times }),
    stop: leg.stop.trim() || null,
    target: leg.target.trim() || null,
    reentries: leg.reentries || null,
  };
}

/** What is sent of a leg: which one of the file it was, and what changed; all of a new one. */
export function sentLeg(leg: Leg, expiry: string, times = 1): FileLeg {
  if (leg.kept) return { from: leg.from };
  const now = Object.entries(writtenLeg(leg, expiry, times));
  const was = leg.was;
  return { from: leg.from, ...Object.fromEntries(was ? now.filter(([key, value]) => value !== was[key]) : now.filter(([, value]) => value !== null)) };
}

/** The legs of a file, those that the builder cannot price as `kept`; `underlying` is the file's own. */
export function readLegs(values: Record<string, unknown>, underlying: string): Leg[] {
  return (Array.isArray(values.legs) ? values.legs : []).map((one: Record<string, unknown>, index) => readLeg(one, index + 1, underlying));
}

function readLeg(one: Record<string, unknown>, from: number, underlying: string): Leg {
  const text = (key: string, usual = ""): string => String(one[key] ?? usual);
  const side = text("action").toUpperCase() === "BUY" ? 1 : -1;
  const [word = "ATM", size = "0"] = text("strike", "ATM").toUpperCase().trim().split(/\s+/);
  const how = ({ DELTA: "delta", PREMIUM: "premium", STRIKE: "strike", ATM: "offset", OTM: "offset", ITM: "offset" } as Record<string, How>)[word];
  const right = text("right").toUpperCase();
  const instrument = text("instrument").toUpperCase();
  const another = instrument !== "" && instrument.replace(/^.*:/, "") !== underlying;
  const kind = text("kind", "option").toLowerCase();
  const kept = another || (kind !== "future" && (kind !== "option" || how === undefined || (right !== "CE" && right !== "PE")));
  const leg: Leg = {
    id: nextId++, side, from, kind: kind === "future" ? "future" : right === "PE" ? "put" : "call", how: how ?? "offset",
    value: word === "ITM" ? -Number(size) : Number(size), lots: Number(one.lots ?? 1), profile: text("profile"),
    expiry: text("expiry", "nearest").toLowerCase().trim().replace(/[\s-]+/g, "_"),
    stop: text("stop"), target: text("target"), reentries: Number(one.reentries ?? 0), was: null,
    kept: kept ? Object.entries(one).map(([key, value]) => `${key} ${String(value)}`).join(", ") : "",
  };
  return { ...leg, was: writtenLeg(leg, leg.expiry) };
}
