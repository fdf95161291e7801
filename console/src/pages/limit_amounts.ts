/** Amounts of risk limits in their units: rupees, R, or the share by which equity fell. */
import type { LimitRow } from "../generated/api";
import { number, percent, profit, rupees, UNKNOWN } from "../ui/format";

type Limit = Pick<LimitRow, "kind" | "now">;

const inR = (row: Limit): boolean => row.kind.endsWith("_R");

/** A bound, or what is left of it. */
export const amount = (row: Limit, value: number | null): string =>
  row.kind === "DRAWDOWN" ? percent(value) : inR(row) ? (value === null ? UNKNOWN : `${number(value, 2)} R`) : rupees(value, 0);

/** What a limit is held against: the loss of the day, or the profit that is no loss; R with their sign. */
export function standing(row: Limit): string {
  if (row.kind === "DRAWDOWN" || row.now === null) return amount(row, row.now);
  if (inR(row)) return `${row.now > 0 ? "+" : ""}${number(row.now, 2)} R`;
  return row.now < 0 ? `loss ${rupees(-row.now, 0)}` : `no loss, P&L ${profit(row.now, 0)}`;
}
