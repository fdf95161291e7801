/** What is held, and sums over positions: what is known, and how many rows have no price. */
import type { PositionRow } from "../generated/api";

/** Units are held: confirmed ones, or reported and not confirmed yet. */
export const isOpen = (row: PositionRow): boolean => Boolean(row.quantity || row.quantity_seen);

export interface KnownSum {
  /** Of the rows whose value is known; null if there are rows and none is. */
  readonly sum: number | null;
  readonly unknown: number;
}

export function knownSum(values: readonly (number | null)[]): KnownSum {
  const known = values.filter((value) => value !== null);
  return { sum: values.length && !known.length ? null : known.reduce((sum, value) => sum + value, 0), unknown: values.length - known.length };
}
