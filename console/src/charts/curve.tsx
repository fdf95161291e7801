/** Curves over time (profit of the day, equity, draw-down), drawn by uPlot on a canvas. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { colour, onTheme } from "../shell/theme";
import { compact, ist } from "../ui/format";

export interface CurveLine {
  name: string;
  values: readonly (number | null)[];
  /** Variable of the theme: accent, gain, loss, warn, muted. */
  colour: string;
  fill?: boolean;
}

const DAYS = [1, 2, 5, 10, 30, 61, 91, 182, 365, 730, 1825];

interface Props {
  /** Milliseconds since 1970, rising. */
  times: readonly number[];
  lines: readonly CurveLine[];
  label: string;
  height?: number;
  /** Days instead of times of one day on the axis. */
  days?: boolean;
  format?: (value: number) => string;
}

export default function Curve(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const names = props.lines.map((line) => `${line.name} ${line.colour}`).join("|");
  const height = props.height ?? 200;

  // the chart is made anew only where its lines are others
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const make = () => {
      chart.current?.destroy();
      chart.current = new uPlot(options(latest.current, element.clientWidth, height), dataOf(latest.current), element);
    };
    make();
    const stopTheme = onTheme(() => setTimeout(make));
    const size = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height }));
    size.observe(element);
    return () => {
      stopTheme();
      size.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [names, height, props.days]);

  useEffect(() => {
    chart.current?.setData(dataOf(props));
  });
  const last = props.lines.map((line) => `${line.name} ${compact(line.values.findLast((value) => value !== null))}`).join(", ");
  return <div className="chart" ref={place} role="img" aria-label={`${props.label}. Last: ${last}`} />;
}

function dataOf(props: Props): uPlot.AlignedData {
  return [props.times.map((ms) => ms / 1000), ...props.lines.map((line) => [...line.values])];
}

function options(props: Props, width: number, height: number): uPlot.Options {
  const [line, muted] = [colour("line"), colour("muted")];
  const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11px system-ui" };
  const write = props.format ?? compact;
  const time = (seconds: number, length = 5): string => {
    const at = ist(seconds * 1000);
    return at ? (props.days ? at.date.replace(/ \d{2}(\d{2})$/, " $1") : at.time.slice(0, length)) : "";
  };
  // early in a day several labels are of one minute
  const written = (splits: number[]): string[] => splits.map((one) => time(one, splits.length > 1 && (splits[1] ?? 0) - (splits[0] ?? 0) < 60 ? 8 : 5));
  return {
    width: Math.max(width, 100),
    height,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Asia/Kolkata"),
    legend: { show: true, live: true },
    cursor: { y: false, drag: { x: true, y: false } },
    scales: { x: { time: true } },
    series: [
      { label: "time", value: (_, value) => (value === null ? "" : props.days ? time(value) : (ist(value * 1000)?.time ?? "")) },
      ...props.lines.map((one): uPlot.Series => ({
        label: one.name,
        stroke: colour(one.colour),
        width: 1.5,
        ...(one.fill ? { fill: colour(one.colour).replace(/^rgb\((.*)\)$/, "rgba($1, 0.12)") } : {}),
        points: { show: false },
        value: (_, value) => (value === null || value === undefined ? "—" : write(value)),
      })),
    ],
    axes: [
      // of whole days: a run of three days had each of them six times
      { ...axis, values: (_, splits) => written(splits), space: 60, ...(props.days ? { incrs: DAYS.map((days) => days * 86_400) } : {}) },
      { ...axis, values: (_, splits) => splits.map(write), size: 64 },
    ],
  };
}
