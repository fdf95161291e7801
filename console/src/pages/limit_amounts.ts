/** Amounts of risk limits in their units: rupees, R, a count, or the share by which equity fell. */
import type { LimitRow } from "../generated/api";
import { number, percent, profit, rupees, symbol, UNKNOWN } from "../ui/format";

type Limit = Pick<LimitRow, "kind" | "unit" | "now">;

/** A bound, or what is left of it. */
export function amount(row: Limit, value: number | null): string {
  if (row.unit === "share") return percent(value);
  if (row.unit === "count") return number(value);
  return row.unit === "r" ? (value === null ? UNKNOWN : `${number(value, 2)} R`) : rupees(value, 0);
}

/** What a limit is held against: the loss of the day, or the profit that is no loss; R with their sign. */
export function standing(row: Limit): string {
  if (row.now === null) return amount(row, row.now);
  if (row.unit === "r") return `${row.now > 0 ? "+" : ""}${number(row.now, 2)} R`;
  if (row.kind !== "DAILY_LOSS") return amount(row, row.now);
  return row.now < 0 ? `loss ${rupees(-row.now, 0)}` : `no loss, P&L ${profit(row.now, 0)}`;
}

/** Whose limit it is: an account, a strategy, an underlying or an instrument, the last two in an account. */
export const scopeOf = (row: Pick<LimitRow, "scope" | "name" | "account">): string =>
  `${row.scope} ${symbol(row.name)}${row.account ? ` in ${row.account}` : ""}`;
