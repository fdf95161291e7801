/** Values of a report as text, by their unit. */
import type { ChartSeries, ReportValue, TableColumn } from "../generated/api";
import { day, ist, number, percent, price, profit, rupees, span, UNKNOWN } from "../ui/format";

export type Unit = NonNullable<ReportValue["unit"]>;
export type Scalar = string | number | null;

export function written(value: Scalar, unit: Unit = "text", digits?: number | null, signed = false): string {
  if (value === null) return UNKNOWN;
  if (typeof value === "string") return unit === "date" ? day(value) : value;
  switch (unit) {
    case "rupees":
      return signed ? profit(value, digits ?? 2) : rupees(value, digits ?? 2);
    case "price":
      return digits == null ? price(value) : number(value, digits);
    case "percent":
      return percent(value, digits ?? 2);
    case "integer":
      return number(value, digits ?? 0);
    case "number":
      return number(value, digits ?? 3);
    case "duration":
      return span(value);
    case "date":
      return ist(value)?.date ?? UNKNOWN;
    case "time": {
      const at = ist(value);
      return at ? `${at.date} ${at.time}` : UNKNOWN;
    }
    default:
      return digits == null ? String(value) : number(value, digits);
  }
}

export type Cell = Scalar | ReportValue;

export const valueOf = (cell: Cell): Scalar => (cell !== null && typeof cell === "object" ? cell.value : cell);

export function cellText(cell: Cell, column: TableColumn): string {
  if (cell !== null && typeof cell === "object") return written(cell.value, cell.unit ?? column.unit, cell.digits ?? column.digits, column.signed);
  return written(cell, column.unit, column.digits, column.signed);
}

export function cellTone(cell: Cell, column: TableColumn): string {
  if (cell !== null && typeof cell === "object" && cell.tone) return { good: "gain", bad: "loss", warn: "warn" }[cell.tone];
  const value = valueOf(cell);
  return column.signed && typeof value === "number" && value !== 0 ? (value > 0 ? "gain" : "loss") : "";
}

const NAMED: Record<string, string> = { gain: "gain", loss: "loss", subject: "accent", muted: "muted", pale: "line", warn: "warn" };
const REST = ["accent", "warn", "gain", "loss", "muted"] as const;

/** Variables of the theme for the series of a chart: their own colours, another where one is taken in the same panel. */
export function shadesOf(all: readonly ChartSeries[]): string[] {
  const taken = new Map<number, Set<string>>();
  return all.map((one) => {
    const used = taken.get(one.panel ?? 0) ?? new Set();
    taken.set(one.panel ?? 0, used);
    const own = one.colour ? (NAMED[one.colour] ?? "accent") : undefined;
    const shade = own && (!used.has(own) || one.draw === "marks") ? own : (REST.find((name) => !used.has(name)) ?? own ?? "accent");
    used.add(shade);
    return shade;
  });
}

/** Whether a curve stops after this point: the library draws over holes, so the stroke that leaves it must not be seen. */
export const isBeforeHole = (values: readonly Scalar[], at: number): boolean => typeof values[at] === "number" && at + 1 < values.length && typeof values[at + 1] !== "number";
