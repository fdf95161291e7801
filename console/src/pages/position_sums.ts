/** Sums over positions: what is known, and how many rows have no price. */

export interface KnownSum {
  /** Of the rows whose value is known; null if there are rows and none is. */
  readonly sum: number | null;
  readonly unknown: number;
}

export function knownSum(values: readonly (number | null)[]): KnownSum {
  const known = values.filter((value) => value !== null);
  return { sum: values.length && !known.length ? null : known.reduce((sum, value) => sum + value, 0), unknown: values.length - known.length };
}
