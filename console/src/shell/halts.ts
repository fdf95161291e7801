/** Everything that holds entries back, in the few words that fit the head. */
import type { HaltRow } from "../generated/api";

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
