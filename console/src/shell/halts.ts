/** Everything that holds entries back, in the few words that fit the head. */
import type { HaltRow } from "../generated/api";

/** True for what stops every account: the kill file, or a level of all accounts. */
const ofAll = (row: HaltRow): boolean => row.kind === "kill" || (row.kind === "level" && !row.account);

const STATES: Record<string, string> = { level: "HALTED", instrument: "HALTED", entries: "HALTED", account: "HALTED", strategy: "OFF", flatten: "FLATTENING" };

const state = (row: HaltRow): string => (row.kind === "level" && row.level === "reduce" ? "REDUCE ONLY" : (STATES[row.kind] ?? row.kind.toUpperCase()));

/** Words of one halt: "HALTED", "paper HALTED", "Condor OFF". */
export const haltText = (row: HaltRow): string => (row.kind === "kill" ? "KILL" : ofAll(row) ? state(row) : `${row.kind === "flatten" ? "" : row.subject} ${state(row)}`.trim());

/** The head's word for all of them: the one of all accounts first, and how many more there are; empty for none. */
export function haltSummary(rows: readonly HaltRow[]): string {
  const first = rows.find((row) => row.kind === "kill") ?? rows.find(ofAll) ?? rows[0];
  if (!first) return "";
  const more = rows.length - 1;
  if (!more) return haltText(first);
  return ofAll(first) ? `${haltText(first)} +${more}` : `${rows.length} HALTS`;
}
