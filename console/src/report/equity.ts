/** The equity curve of a report, and several of them on the times of all. */
import type { ChartSeries, Report } from "../generated/api";

/** The series `equity` of a report whose horizontal axis is time, null if it has none. */
export function equityOf(report: Report): ChartSeries | null {
  for (const section of report.sections ?? []) {
    for (const block of section.blocks) {
      if (block.type !== "chart" || (block.x ?? "time") !== "time") continue;
      const found = block.series?.find((one) => one.name === "equity");
      if (found) return found;
    }
  }
  return null;
}

/** Times of all curves, and each curve's change from its first value at them: the newest value known, null before. */
export function alignedCurves(series: readonly Pick<ChartSeries, "x" | "y">[]): [number[], (number | null)[][]] {
  const times = [...new Set(series.flatMap((one) => one.x.filter((at): at is number => typeof at === "number")))].sort((a, b) => a - b);
  const lines = series.map((one) => {
    const points = new Map(one.x.map((at, index) => [at, one.y[index]] as const));
    const first = one.y.find((value): value is number => typeof value === "number") ?? 0;
    const last = one.x.at(-1) ?? 0;
    let known: number | null = null;
    return times.map((at) => {
      const value = points.get(at);
      if (typeof value === "number") known = value - first;
      return typeof last === "number" && at > last ? null : known;
    });
  });
  return [times, lines];
}
