/** Everything that holds entries back, in the few words that fit the head. */
import type { HaltRow, RefusedRow } from "../generated/api";

/** True for what stops every account: the kill file, or a level of all accounts. */
const ofAll = (row: HaltRow): boolean => row.kind === "kill" || (row.kind === "level" && !row.account);

const STATES: Record<string, string> = { level: "HALTED", instrument: "HALTED", entries: "HALTED", account: "HALTED", strategy: "OFF", flatten: "FLATTENING" };

const state = (row: HaltRow): string => (row.kind === "level" && row.level === "reduce" ? "REDUCE ONLY" : (STATES[row.kind] ?? row.kind.toUpperCase()));

/** Words of one halt: "HALTED", "paper HALTED", "Condor OFF". */
export const haltText = (row: HaltRow): string => (row.kind === "kill" ? "KILL" : ofAll(row) ? state(row) : `${row.kind === "flatten" ? "" : row.subject} ${state(row)}`.trim());

const rank = (row: HaltRow): number => (row.kind === "kill" ? 0 : ofAll(row) ? 1 : 2);
const MOST_NAMED = 3;

/** Words of each for a head that has a line for them, those of all accounts first; of more than three how many more. */
export function haltTexts(rows: readonly HaltRow[]): string[] {
  const named = (row: HaltRow): string => (rows.length > 1 && row.kind === "level" && ofAll(row) ? `all accounts ${haltText(row)}` : haltText(row));
  const sorted = [...rows].sort((a, b) => rank(a) - rank(b)).map(named);
  return sorted.length <= MOST_NAMED ? sorted : [...sorted.slice(0, MOST_NAMED - 1), `${sorted.length - MOST_NAMED + 1} more`];
}

/** The head's word for all of them: the one of all accounts first, and how many more there are; empty for none. */
export function haltSummary(rows: readonly HaltRow[]): string {
  const first = rows.find((row) => row.kind === "kill") ?? rows.find(ofAll) ?? rows[0];
  if (!first) return "";
  const more = rows.length - 1;
  if (!more) return haltText(first);
  return ofAll(first) ? `${haltText(first)} +${more}` : `${rows.length} HALTS`;
}

/** True for what the page lists: the kill file stands in a level of its own too, and that one is left out. */
export const isShown = (row: HaltRow): boolean => !(row.kind === "level" && row.subject === KILL);

/** True where the browser has a way back: a flatten ends by itself. */
export const mayResume = (row: HaltRow): boolean => row.kind !== "flatten";

const KILL = "KILL";
const DONE: Record<string, string> = { halt: "halted", reduce: "limited to reducing", flatten: "halted, positions being closed", off: "switched off" };

/** What stands in place of a reason that nobody gave. */
const BY_HAND = /^\w+( off| on)? by hand$/;

/** Who did it, without the screen that it was done at. */
const person = (by: string): string => by.replace(/^console:/, "");

const subjectOf = (row: HaltRow): string =>
  row.kind === "strategy" ? `Entries of ${row.strategy}` : row.kind === "instrument" || row.kind === "entries" ? `Entries in ${row.subject}` : row.account ? `Entries in ${row.account}` : "Entries";

/** "Entries halted by asha at 11:25: lunch": what is held, who did it, when and why. */
export function haltSentence(row: HaltRow, at: string): string {
  const by = row.by && row.by !== "risk" ? ` by ${person(row.by)}` : row.by === "risk" ? " by risk" : "";
  const time = at ? ` at ${at}` : "";
  const why = row.reason && !BY_HAND.test(row.reason) ? `: ${row.reason}` : "";
  if (row.kind === "flatten") return `Flatten ${row.level}, asked for${by}${time}${why}`;
  if (row.kind === "kill") return `The file KILL says ${row.level}, written${by}${time}${why}`;
  if (row.kind === "account") return `Entries halted: ${row.reason}`;
  return `${subjectOf(row)} ${DONE[row.level] ?? row.level}${by}${time}${why}`;
}

/** "refused since 09:20: positions per symbol 5 of 5, 35 in a row of 36 signals today". */
export function refusalText(row: RefusedRow, since: string, last: string): string {
  const account = row.account ? ` in ${row.account}` : "";
  const times = row.in_a_row > 1 ? `${row.in_a_row} in a row, of ${row.signals} today, the last at ${last}` : `1 of ${row.signals} today`;
  return `refused${account} since ${since}: ${row.rule} (${times})`;
}
