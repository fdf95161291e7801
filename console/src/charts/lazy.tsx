/** Charts are loaded when a page first shows one. */
import { type ComponentProps, lazy, Suspense } from "react";
import type CurveChart from "./curve";

const LazyCurve = lazy(() => import("./curve"));

export function Curve(props: ComponentProps<typeof CurveChart>) {
  return (
    <Suspense fallback={<div className="chart" style={{ height: props.height ?? 200 }} />}>
      <LazyCurve {...props} />
    </Suspense>
  );
}
