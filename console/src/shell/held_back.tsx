/** What holds entries back, in sentences for a browser, each with the button that ends it; and strategies whose signals are refused. */
import { useState } from "react";
import { Link as To } from "wouter";
import { useRole } from "../api/session";
import type { HaltRow, StrategyRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { clock } from "../ui/format";
import { Badge } from "../ui/parts";
import { Emergency } from "./emergency";
import { haltSentence, isShown, mayResume, refusalText } from "./halts";

export const refusedRows = (rows: readonly StrategyRow[]): readonly StrategyRow[] => rows.filter((row) => row.refused !== null);

/** One line for each halt in force. The reason of a flatten or of a broker is shown as it is. */
export function HaltLines({ rows }: { rows: readonly HaltRow[] }) {
  const trader = useRole("trader");
  const [resumed, setResumed] = useState<HaltRow | null>(null);
  return (
    <>
      {rows.filter(isShown).map((row) => (
        <li key={row.id}>
          <Badge tone="bad">{row.level || row.kind}</Badge>
          <span className="grow">{haltSentence(row, row.at_ms === null ? "" : clock(row.at_ms).slice(0, 5))}</span>
          {trader && mayResume(row) ? (
            <button type="button" className="small" onClick={() => setResumed(row)} aria-label={`End: ${row.subject}`}>{row.kind === "kill" ? "Remove…" : "Resume…"}</button>
          ) : (
            !mayResume(row) && <span className="muted">{row.cure}</span>
          )}
        </li>
      ))}
      {resumed && <Emergency kind="Resume" account={resumed.account} strategy={resumed.strategy} onClose={() => setResumed(null)} />}
    </>
  );
}

/** One line for each strategy whose newest signals were denied. */
export function RefusedLines({ rows }: { rows: readonly StrategyRow[] }) {
  return (
    <>
      {refusedRows(rows).map((row) => (
        <li key={row.name}>
          <To href={`/strategies/${encodeURIComponent(row.name)}`} className="strong">{row.name}</To>
          <span className="grow"><Refused row={row} /></span>
        </li>
      ))}
    </>
  );
}

/** The newest denial of a strategy in a line; nothing while its signals are accepted. */
export function Refused({ row }: { row: StrategyRow }) {
  const several = useTopic("accounts").rows.length > 1;
  if (!row.refused) return null;
  const shown = several ? row.refused : { ...row.refused, account: "" };
  return <span className="warn" title={row.refused.message}>{refusalText(shown, clock(row.refused.since_ms).slice(0, 5), clock(row.refused.last_ms).slice(0, 5))}</span>;
}

/** Halts in force and refused strategies, or what is there if there are none. */
export function HeldBack() {
  const halts = useTopic("halts");
  const strategies = useTopic("strategies");
  const none = !halts.rows.length && !refusedRows(strategies.rows).length;
  if (none) return <div className="empty">{halts.loaded ? "Nothing: entries are allowed." : "Waiting for data…"}</div>;
  return (
    <ul className="list">
      <HaltLines rows={halts.rows} />
      <RefusedLines rows={strategies.rows} />
    </ul>
  );
}
