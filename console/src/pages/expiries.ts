/** Expiries by the words of a file of legs, and how many legs one may have. */

export const MOST_LEGS = 20;

/** The dates that the words of a file name today; `expiries` are the listed ones, nearest first. */
export function expiryDates(expiries: readonly string[]): Record<string, string | undefined> {
  const months = expiries.filter((one, at) => expiries[at + 1]?.slice(0, 7) !== one.slice(0, 7));
  return { nearest: expiries[0], next: expiries[1], monthly: months[0], next_monthly: months[1] };
}

/** The word that names an expiry today, empty if no word does. */
export const expiryWord = (expiry: string, expiries: readonly string[]): string => Object.entries(expiryDates(expiries)).find(([, date]) => date === expiry)?.[0] ?? "";

/** A word of a file as it is shown. */
export const expiryName = (word: string): string => word.replaceAll("_", " ");
