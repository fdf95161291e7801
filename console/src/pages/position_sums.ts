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

/** Symbol in its two parts, what it is of with its expiry and which one: NIFTY25NOV26, 24500CE; one part if it has no strike. */
export function symbolParts(symbol: string): readonly string[] {
  const found = /^(.+\d{2}[A-Z]{3}\d{2})(\d+(?:\.\d+)?(?:CE|PE))$/.exec(symbol);
  return found ? found.slice(1) : [symbol];
}
