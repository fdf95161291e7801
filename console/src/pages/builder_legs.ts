/** Legs of the builder: templates, the contracts that they choose in a chain, and what a file of legs says of them. */
import type { ChainCell, ChainFuture, ChainLine, LegFile } from "../generated/api";
import { LEG_KEYS, type LegKeyName } from "../generated/leg_keys";
import { type NumberRule, parseNumber, readNumber } from "../ui/typed";
import { expiryDates } from "./expiries";

export type How = "offset" | "delta" | "premium" | "strike";
export type Right = "call" | "put" | "future" | "equity";

/** The keys of a leg as text, the way a file spells them; empty or left out: what is usual. */
export type LegTexts = Readonly<Partial<Record<LegKeyName, string>>>;
/** What is sent of a leg, or what its file says: null for a key that is not there. */
export type FileLeg = Record<string, string | number | null>;

export interface Leg {
  id: number;
  /** An empty `expiry` follows the chain that is shown. */
  keys: LegTexts;
  /** Its place in the opened file, counted from 1; null for a new one. */
  from: number | null;
  /** What the file says, so that only changes are written. */
  was: FileLeg | null;
}

/** How a leg chooses its strike, of which `value`. */
export interface StrikeRule {
  how: How;
  value: number;
}

/** Such a rule as the page has it: a value that is none is null, and stays as `text`. */
export interface TypedStrike {
  how: How;
  value: number | null;
  text: string;
}

export const HOW: Record<How, string> = { offset: "strikes from ATM", delta: "delta nearest", premium: "premium ₹ nearest", strike: "strike ₹" };
/** Strikes from the money at most. */
const MOST_STRIKES = 20;
/** What the value of each may be. */
export const STRIKE_RULES: Record<How, NumberRule> = {
  offset: { whole: true, least: -MOST_STRIKES, most: MOST_STRIKES },
  delta: { above: 0, below: 1 },
  premium: { above: 0 },
  strike: { above: 0 },
};

let nextId = 1;

const KINDS: Record<Right, LegTexts> = {
  call: { kind: "", right: "CE" },
  put: { kind: "", right: "PE" },
  future: { kind: "future", right: "", strike: "" },
  equity: { kind: "equity", right: "", strike: "", expiry: "", lots: "", profile: "" },
};

export const sideOf = ({ keys }: Leg): 1 | -1 => (keys.action === "BUY" ? 1 : -1);

export function kindOf({ keys }: Leg): Right {
  if (keys.kind === "future" || keys.kind === "equity") return keys.kind;
  return keys.right === "PE" ? "put" : "call";
}

/** How a leg chooses its strike; null for words that are none of these. */
export function strikeOf({ keys }: Leg): TypedStrike | null {
  const found = /^(ATM|OTM|ITM|DELTA|PREMIUM|STRIKE)(?:\s+(?:(\d+(?:\.\d+)?)|"(.*)"))?$/i.exec((keys.strike || "ATM").trim());
  if (!found) return null;
  const word = (found[1] ?? "").toUpperCase();
  const offset = word === "ATM" || word === "OTM" || word === "ITM";
  const how = offset ? "offset" : (word.toLowerCase() as How);
  if (found[3] !== undefined) return { how, value: null, text: found[3] };
  const size = Number(found[2] ?? 0);
  const strikes = Math.min(Math.max(size, 1), MOST_STRIKES); // as the file is read
  const value = !offset ? size : word === "ITM" ? -strikes : word === "OTM" ? strikes : 0;
  return { how, value, text: String(value) };
}

/** What is wrong with the value by which a leg chooses its strike; empty if nothing is. */
export function strikeProblem(leg: Leg): string {
  const rule = strikeOf(leg);
  return rule && rule.value === null ? readNumber(rule.text, STRIKE_RULES[rule.how]).problem : "";
}

/** What was typed as the value of such a rule: its words, and in quotes what no such value is. */
export function typedStrike(how: How, text: string): string {
  const { value } = readNumber(text, STRIKE_RULES[how]);
  return value !== null ? strikeWords({ how, value }) : `${how === "offset" ? "OTM" : how.toUpperCase()} "${text}"`;
}

const moneyness = (value: number): string => (value === 0 ? "ATM" : `${value > 0 ? "OTM" : "ITM"} ${Math.abs(value)}`);

/** A rule of a strike in the words of a file. */
export const strikeWords = ({ how, value }: StrikeRule): string => (how === "offset" ? moneyness(value) : `${how.toUpperCase()} ${value}`);

/** The keys that make a leg another contract; those that it has no use for are taken out. */
export function asKind(leg: Leg, kind: Right): LegTexts {
  const before = kindOf(leg);
  const option = kind === "call" || kind === "put";
  const listed = kind !== "equity" && before === "equity" ? { lots: "1", quantity: "" } : {};
  return {
    ...KINDS[kind],
    ...listed,
    ...(option ? { strike: leg.keys.strike || "ATM" } : { roll_at: "", roll_to: "", rolls: "" }),
    ...(option && before !== "future" && before !== "equity" ? {} : { expiry: "" }),
    ...(kind === "equity" && before !== "equity" ? { quantity: "1" } : {}),
  };
}

/** A new leg; a sold one begins with a stop at twice its premium. */
export const newLeg = (side: 1 | -1, kind: "call" | "put", strike: StrikeRule | number): Leg => ({
  id: nextId++,
  keys: { ...KINDS[kind], action: side > 0 ? "BUY" : "SELL", strike: strikeWords(typeof strike === "number" ? { how: "offset", value: strike } : strike), lots: "1", stop: side < 0 ? "100%" : "" },
  from: null,
  was: null,
});

const withKeys = (leg: Leg, keys: LegTexts): Leg => ({ ...leg, keys: { ...leg.keys, ...keys } });

/** Legs picked in a chain, as `BUY 26000 CE,SELL 26500 CE`; what is none of these is left out. */
export function pickedLegs(text: string): Leg[] {
  return text.split(",").flatMap((word): Leg[] => {
    const found = /^(BUY|SELL) (\d+(?:\.\d+)?) (CE|PE)$/.exec(word);
    return found ? [newLeg(found[1] === "BUY" ? 1 : -1, found[3] === "CE" ? "call" : "put", { how: "strike", value: Number(found[2]) })] : [];
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
  "Calendar spread": () => [withKeys(newLeg(1, "call", 0), { expiry: "next" }), withKeys(newLeg(-1, "call", 0), { expiry: "nearest" })],
  "Covered call": () => [withKeys(newLeg(1, "call", 0), { ...KINDS.future, expiry: "monthly", stop: "2%" }), withKeys(newLeg(-1, "call", 3), { expiry: "monthly" })],
};

export interface Found {
  line: ChainLine;
  cell: ChainCell;
}

/** A bid and ask further apart than this share of their middle say less than the last price, as the engine has it. */
const SANE_SPREAD = 0.25;

/** The price by which a premium is chosen: the middle of a plausible bid and ask, else the last price. */
function fairPrice({ bid, ask, ltp }: ChainCell): number | null {
  if (bid === null || ask === null || bid <= 0 || bid > ask || ask - bid > (SANE_SPREAD * (bid + ask)) / 2) return ltp;
  return (bid + ask) / 2;
}

/** The contract that a leg chooses among lines sorted by strike, null if there is none. */
export function findContract(lines: readonly ChainLine[], leg: Leg): Found | null {
  const kind = kindOf(leg);
  const rule = strikeOf(leg);
  const sided = lines.flatMap((line): Found[] => {
    const cell = kind === "call" ? line.call : kind === "put" ? line.put : null;
    return cell ? [{ line, cell }] : [];
  });
  const nearest = (far: (one: Found) => number | null): Found | null => {
    let best: Found | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const one of sided) {
      const distance = far(one);
      if (distance === null || distance > least || (distance === least && (fairPrice(one.cell) ?? 0) >= (best ? (fairPrice(best.cell) ?? 0) : 0))) continue;
      [best, least] = [one, distance];
    }
    return best;
  };
  if (!rule || rule.value === null) return null;
  const wanted = rule.value;
  switch (rule.how) {
    case "offset": {
      const money = lines.findIndex((line) => line.at_money);
      const line = lines[money + (kind === "call" ? wanted : -wanted)];
      return money < 0 || !line ? null : (sided.find((one) => one.line === line) ?? null);
    }
    case "strike":
      return sided.find((one) => one.line.strike === wanted) ?? null;
    case "delta":
      return nearest((one) => (one.cell.delta === null ? null : Math.abs(Math.abs(one.cell.delta) - wanted)));
    case "premium":
      return nearest((one) => {
        const price = fairPrice(one.cell);
        return price === null ? null : Math.abs(price - wanted);
      });
  }
}

const NO_FIGURES = { bid: null, ask: null, volume: null, open_interest: null, open_interest_change: null, iv: null };

/** The shares that a leg is of, at their last price; null without one. */
export function findShares(head: { spot_instrument: string; spot: number | null }): Found | null {
  if (!head.spot_instrument) return null;
  const cell = { ...NO_FIGURES, instrument: head.spot_instrument, lot: 1, ltp: head.spot, delta: 1, gamma: 0, theta: 0, vega: 0 };
  return { line: { strike: head.spot ?? 0, at_money: false, call: null, put: null }, cell };
}

/** True for the id of an index, which cannot be bought. */
export const isIndex = (instrument: string): boolean => /_INDEX:/.test(instrument);

/** The future that a leg names, as a contract that moves with the forward, or ends at the price of the underlying where
 * it expires on `first`, as that does; null if none is listed. */
export function findFuture(futures: readonly ChainFuture[], leg: Leg, forward: number | null, first = ""): Found | null {
  const date = expiryDates(futures.map((one) => one.expiry))[leg.keys.expiry || "nearest"];
  const found = futures.find((one) => one.expiry === date);
  if (!found) return null;
  const strike = (found.expiry === first ? found.ltp : null) ?? forward ?? found.ltp ?? 0;
  return { line: { strike, at_money: false, call: null, put: null }, cell: { ...NO_FIGURES, instrument: found.instrument, lot: found.lot, ltp: found.ltp, delta: 1, gamma: 0, theta: 0, vega: 0 } };
}

/** The strike with which another way to choose begins: that of the contract chosen so far. */
export function startOf(how: How, at: Found | null): LegTexts {
  const value = { offset: 0, delta: Math.abs(Math.round((at?.cell.delta ?? 0.3) * 100) / 100), premium: Math.round(at?.cell.ltp ?? 50), strike: at?.line.strike ?? 0 }[how];
  return { strike: strikeWords({ how, value }) };
}

/** What a text says for a key that holds numbers; text that is none stays, for the check to say so. */
export const asNumber = (text: string): string | number => parseNumber(text) ?? text.trim();

/** A leg as a file has it, each key. */
export function writtenLeg(leg: Leg, expiry: string, times = 1): FileLeg {
  const kind = kindOf(leg);
  const made: FileLeg = {};
  for (const key of Object.keys(LEG_KEYS) as LegKeyName[]) {
    const text = (leg.keys[key] ?? "").trim();
    made[key] = text === "" ? null : LEG_KEYS[key].kind === "number" ? asNumber(text) : text;
  }
  if (kind !== "equity" && !made.expiry) made.expiry = kind === "future" ? "nearest" : expiry;
  if (made.profile) made.lots = null;
  for (const key of ["lots", "quantity"]) if (typeof made[key] === "number") made[key] *= times;
  return made;
}

/** What is sent of a leg: which one of the file it was, and what changed; all of a new one. */
export function sentLeg(leg: Leg, expiry: string, times = 1): FileLeg {
  const now = Object.entries(writtenLeg(leg, expiry, times));
  const was = leg.was;
  return { from: leg.from, ...Object.fromEntries(was ? now.filter(([key, value]) => value !== was[key]) : now.filter(([, value]) => value !== null)) };
}

/** The legs as text, equal for legs that say the same. */
export const legsText = (legs: readonly Leg[]): string =>
  JSON.stringify(legs.map(({ from, keys }) => [from, ...Object.keys(LEG_KEYS).map((key) => keys[key as LegKeyName] ?? "")]));

/** The underlying of a file by its short name. */
export const underlyingOf = (file: LegFile): string => String(file.values.underlying ?? "NIFTY").toUpperCase().replace(/^.*:/, "");

/** The legs of a file. */
export function readLegs(values: Record<string, unknown>): Leg[] {
  return (Array.isArray(values.legs) ? values.legs : []).map((one: Record<string, unknown>, index) => readLeg(one, index + 1));
}

function readLeg(one: Record<string, unknown>, from: number): Leg {
  const keys: Partial<Record<LegKeyName, string>> = {};
  for (const key of Object.keys(LEG_KEYS) as LegKeyName[]) keys[key] = asChoice(LEG_KEYS[key], String(one[key] ?? ""));
  if (keys.kind === "option") keys.kind = "";
  if (keys.kind !== "equity") {
    keys.expiry ||= "nearest";
    keys.lots ||= "1";
  }
  const leg: Leg = { id: nextId++, keys, from, was: null };
  return { ...leg, was: { ...writtenLeg(leg, "nearest"), ...(typeof one.lots === "number" ? { lots: one.lots } : {}) } };
}

/** A word of a file as the choice that it means there, whatever its case and its hyphens; other text as it is. */
export function asChoice(key: { kind: string; choices?: readonly string[] }, text: string): string {
  const plain = (word: string): string => word.trim().toLowerCase().replace(/[\s-]+/g, "_");
  return key.choices?.find((word) => plain(word) === plain(text)) ?? text;
}

/** The short name of the underlying that a leg is of. */
export const baseOf = (leg: Leg, underlying: string): string => otherInstrument(leg, underlying).replace(/^.*:/, "") || underlying;

/** The instrument that a leg is of, if it is not `underlying` itself; empty if it is. */
export function otherInstrument({ keys }: Leg, underlying: string): string {
  const named = (keys.instrument ?? "").trim().toUpperCase();
  return named === "" || named.replace(/^.*:/, "") === underlying ? "" : named;
}
