/** Charts are loaded when a page first shows one. */
import { type ComponentProps, Suspense } from "react";
import { latePart } from "../live/late_parts";
import type CurveChart from "./curve";

const LazyCurve = latePart(() => import("./curve"));

export function Curve(props: ComponentProps<typeof CurveChart>) {
  return (
    <Suspense fallback={<div className="chart" style={{ height: props.height ?? 200 }} />}>
      <LazyCurve {...props} />
    </Suspense>
  );
}
