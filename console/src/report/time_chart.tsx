/** A report's chart over time: candles, lines, areas, bars and marks in panes, by lightweight-charts. */
import {
  AreaSeries, BaselineSeries, CandlestickSeries, ColorType, createChart, createSeriesMarkers, HistogramSeries, type IChartApi, type ISeriesApi,
  LineSeries, LineStyle, LineType, type SeriesMarker, type SeriesType, type Time, type UTCTimestamp,
} from "lightweight-charts";
import { useEffect, useRef } from "react";
import type { ChartSeries, ReportChart } from "../generated/api";
import { colour, onTheme } from "../shell/theme";
import { ist } from "../ui/format";
import { isBeforeHole, shadesOf, written } from "./values";

const IST_S = 19_800;
export default function TimeChart({ chart }: { chart: ReportChart }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    let made = draw(element, chart);
    const stop = onTheme(() =>
      setTimeout(() => {
        made.remove();
        made = draw(element, chart);
      }),
    );
    return () => {
      stop();
      made.remove();
    };
  }, [chart]);
  const shown = chart.series ?? [];
  const shades = shadesOf(shown);
  return (
    <>
      <div className="chart" ref={place} style={{ height: chart.height ?? 360 }} role="img" aria-label={`${chart.title ?? ""} ${shown.map((one) => one.name).join(", ")}`} />
      <div className="legend">
        {shown.map((one, index) => (
          <span key={`${one.name}${one.draw}`}>
            <span style={{ color: `var(--${shades[index]})` }}>{one.draw === "marks" ? (one.shape === "down" ? "▼" : one.shape === "up" ? "▲" : "●") : "▬"}</span> {one.name}
          </span>
        ))}
        <span>times of India; data end {ist(lastTime(shown))?.date ?? "—"}</span>
      </div>
    </>
  );
}

const lastTime = (series: readonly ChartSeries[]): number | null => {
  const times = series.map((one) => one.x.at(-1)).filter((value): value is number => typeof value === "number");
  return times.length ? Math.max(...times) : null;
};

/** Points in rising time, one for each second: what the library asks for. */
function points<Point extends { time: Time }>(series: ChartSeries, make: (time: UTCTimestamp, index: number) => Point | null): Point[] {
  const found = new Map<number, Point>();
  series.x.forEach((x, index) => {
    if (typeof x !== "number") return;
    const time = Math.floor(x / 1000) + IST_S;
    const point = make(time as UTCTimestamp, index);
    if (point) found.set(time, point);
  });
  return [...found].sort(([a], [b]) => a - b).map(([, point]) => point);
}

const valueAt = (series: ChartSeries, index: number): number | null => {
  const value = series.y[index];
  return typeof value === "number" ? value : null;
};

function draw(element: HTMLElement, chart: ReportChart): IChartApi {
  const panels = chart.panels ?? [{}];
  const [line, muted] = [colour("line"), colour("muted")];
  const made = createChart(element, {
    autoSize: true,
    layout: { background: { type: ColorType.Solid, color: "transparent" }, textColor: muted, fontSize: 11, attributionLogo: false, panes: { separatorColor: line, enableResize: false } },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    timeScale: { timeVisible: true, minBarSpacing: 0.02, maxBarSpacing: 40, secondsVisible: false, borderColor: line },
    rightPriceScale: { borderColor: line },
    localization: { locale: "en-IN" },
  });
  const bases = new Map<number, ISeriesApi<SeriesType>>();
  const format = (panel: number) => ({ type: "custom" as const, minMove: 0.0001, formatter: (value: number) => written(value, panels[panel]?.unit ?? "number", panels[panel]?.unit === "rupees" ? 0 : undefined) });
  const all = chart.series ?? [];
  const shades = shadesOf(all);
  all.forEach((one, index) => {
    const pane = one.panel ?? 0;
    const shade = colour(shades[index] ?? "accent");
    const common = { priceFormat: format(pane), priceLineVisible: false, lastValueVisible: false, visible: !one.hidden };
    let api: ISeriesApi<SeriesType> | null = null;
    switch (one.draw) {
      case "candles": {
        const [up, down] = [colour("gain"), colour("loss")];
        const series = made.addSeries(CandlestickSeries, { ...common, upColor: up, downColor: down, borderVisible: false, wickUpColor: up, wickDownColor: down }, pane);
        series.setData(points(one, (time, at) => ({ time, open: one.open?.[at] ?? 0, high: one.high?.[at] ?? 0, low: one.low?.[at] ?? 0, close: valueAt(one, at) ?? 0 })));
        api = series;
        break;
      }
      case "bars": {
        const [up, down] = [colour("gain"), colour("loss")];
        const series = made.addSeries(HistogramSeries, { ...common, color: shade }, pane);
        series.setData(points(one, (time, at) => { const value = valueAt(one, at); return value === null ? null : { time, value, ...(one.signed ? { color: value < 0 ? down : up } : {}) }; }));
        api = series;
        break;
      }
      case "area": {
        const series = made.addSeries(AreaSeries, { ...common, lineColor: shade, topColor: fade(shade, 0.3), bottomColor: fade(shade, 0.05), lineWidth: 1 }, pane);
        series.setData(points(one, (time, at) => ({ time, value: valueAt(one, at) ?? 0 })));
        api = series;
        break;
      }
      case "line":
      case "step": {
        const series = made.addSeries(LineSeries, { ...common, color: shade, lineWidth: 1, lineStyle: one.dashed ? LineStyle.Dashed : LineStyle.Solid, lineType: one.draw === "step" ? LineType.WithSteps : LineType.Simple }, pane);
        series.setData(points(one, (time, at) => { const value = valueAt(one, at); return value === null ? { time } : { time, value, ...(isBeforeHole(one.y, at) ? { color: "transparent" } : {}) }; }));
        api = series;
        break;
      }
      default:
        return;
    }
    if (api && !bases.has(pane)) bases.set(pane, api);
  });
  all.forEach((one, index) => {
    if (one.draw !== "marks") return;
    const pane = one.panel ?? 0;
    let base = bases.get(pane);
    if (!base) {
      base = made.addSeries(BaselineSeries, { visible: false, priceFormat: format(pane) }, pane);
      base.setData(points(one, (time, at) => ({ time, value: valueAt(one, at) ?? 0 })));
      bases.set(pane, base);
    }
    const shade = colour(shades[index] ?? "accent");
    const marks = points(one, (time, at): SeriesMarker<Time> | null => {
      const price = valueAt(one, at);
      const shape = one.shape === "up" ? "arrowUp" : one.shape === "down" ? "arrowDown" : one.shape === "cross" ? "square" : "circle";
      return price === null ? null : { time, position: "atPriceMiddle", price, shape, color: shade, size: 1 };
    });
    createSeriesMarkers(base, marks);
  });
  for (const [pane, base] of bases) {
    const moments = (chart.lines ?? []).filter((one) => one.axis === "x" && typeof one.value === "number" && (one.panel ?? 0) === pane);
    if (moments.length) createSeriesMarkers(base, moments.map((one): SeriesMarker<Time> => ({ time: (Math.floor(Number(one.value) / 1000) + IST_S) as UTCTimestamp, position: "aboveBar", shape: "arrowDown", color: muted, text: one.text ?? "" })));
  }
  for (const one of chart.lines ?? []) {
    if (one.axis === "y" && typeof one.value === "number") bases.get(one.panel ?? 0)?.createPriceLine({ price: one.value, title: one.text ?? "", color: muted, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true });
  }
  made.panes().forEach((pane, index) => pane.setStretchFactor((panels[index]?.share ?? 1) * 100));
  for (const [index, panel] of panels.entries()) if (panel.log) made.priceScale("right", index).applyOptions({ mode: 1 });
  if (chart.first) {
    const [from, to] = chart.first as [number, number];
    made.timeScale().setVisibleRange({ from: (from / 1000 + IST_S) as UTCTimestamp, to: (to / 1000 + IST_S) as UTCTimestamp });
  } else made.timeScale().fitContent();
  return made;
}

const fade = (rgb: string, share: number): string => {
  const found = rgb.match(/[\d.]+/g);
  return rgb.startsWith("rgb") && found ? `rgba(${found.slice(0, 3).join(", ")}, ${share})` : rgb;
};
