/** Words of states with their colour; the word itself always stands there. */
import type { StrategyRow } from "../generated/api";
import { words } from "./format";
import { Badge, type Tone } from "./parts";

const ORDER: Record<string, Tone> = {
  FILLED: "good", PARTIALLY_FILLED: "info", ACCEPTED: "info", TRIGGERED: "info", RECORDED: "info", SUBMITTED: "care", PARKED: "care",
  INITIALIZED: "", CANCELLED: "", EXPIRED: "", DENIED: "bad", REJECTED: "bad", UNKNOWN: "bad", LOST: "bad", GHOST: "bad",
};

/** State of an order. Sent and not answered is "sent?", a change on its way stands beside, with what it waits for. */
export function OrderState(props: { state: string; pending?: string; waits?: string }) {
  return (
    <>
      <Badge tone={ORDER[props.state] ?? ""}>{props.state === "SUBMITTED" ? "sent, no answer yet" : words(props.state)}</Badge>
      {props.pending && !props.waits && <span className="warn small"> {props.pending} on its way</span>}
      {props.waits && <div className="warn small waits">{props.waits}</div>}
    </>
  );
}

const SEVERITY: Record<string, Tone> = { critical: "bad", warning: "care", info: "info" };

export const Severity = (props: { value: string }) => <Badge tone={SEVERITY[props.value] ?? ""}>{props.value}</Badge>;

const CONFIDENCE: Record<string, Tone> = { CONFIRMED: "good", STALE: "care", DISPUTED: "bad" };

export const Confidence = (props: { value: string }) => <Badge tone={CONFIDENCE[props.value] ?? ""}>{words(props.value)}</Badge>;

const RESULT: Record<string, Tone> = { filled: "good", accepted: "info", denied: "bad", rejected: "bad", partial: "care", waiting: "care", expired: "" };

export const Result = (props: { value: string }) => (props.value ? <Badge tone={RESULT[props.value] ?? ""}>{words(props.value)}</Badge> : <>—</>);

export function Side(props: { value: string }) {
  return <span className={props.value === "BUY" ? "gain" : props.value === "SELL" ? "loss" : ""}>{props.value}</span>;
}

export function StrategyState({ row }: { row: StrategyRow }) {
  if (!row.enabled && row.state === "RUNNING") return <Badge tone="care">paused</Badge>;
  if (row.held && row.state === "RUNNING") return <Badge tone="care">held</Badge>;
  return <Badge tone={row.state === "RUNNING" ? "good" : row.state === "LOADING" ? "info" : "bad"}>{words(row.state)}</Badge>;
}

/** What a strategy whose entries are on waits for; what holds them back first, while it can enter nothing. */
export function nextStep(row: StrategyRow): string {
  const waits = row.waits && `waits for ${row.waits}`;
  if (!row.held) return waits;
  return row.positions ? `held: ${row.held}; ${waits}` : `held: ${row.held}`;
}
