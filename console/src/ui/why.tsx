/** The causal chain behind a row: quote, signal, verdicts, command, send, outcome, fills, stop, or that it stands alone. */
import { Link as To } from "wouter";
import { useAnswer } from "../api/hooks";
import type { WhyStep } from "../generated/api";
import { Dialog } from "./dialog";
import { clock, number } from "./format";
import { Badge, ErrorNote, Scrolled, type Tone } from "./parts";

const TONES: Record<string, Tone> = { signal: "info", command: "info", send: "care", outcome: "care", fill: "good", stop: "bad", alert: "bad" };

/** Button of a row that opens its chain; `name` says which row to those who do not see it. */
export function WhyButton(props: { name: string; onPress: () => void }) {
  return (
    <button type="button" className="small" onClick={props.onPress} aria-label={`Why ${props.name}`}>
      Why
    </button>
  );
}

/** `id` is that of an order, signal, position, trade or alert; `name` its words, the id if there are none. */
export function WhyDialog(props: { id: string; name?: string; onClose: () => void }) {
  const answer = useAnswer<WhyStep[]>("/api/why", { row: props.id });
  return (
    <Dialog title={`Why: ${props.name ?? props.id}`} broad onClose={props.onClose}>
      <div className="inside">
        <ErrorNote error={answer.error} />
        {answer.busy && !answer.data && <p className="muted">Reading the journals…</p>}
        {answer.data && answer.data.length > 0 && (
          <Scrolled label="steps of the chain">
            <table>
              <thead>
                <tr>
                  {["Market time", "ms", "+ms", "By", "Step", "What"].map((name) => (
                    <th key={name} scope="col" className={name.endsWith("ms") ? "num" : ""}>
                      <span>{name}</span>
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {answer.data.map((step, index) => (
                  // steps of a finished chain never change places
                  <tr key={index}>
                    <td className="text">{clock(step.at_ms)}</td>
                    <td className="num">{number(step.ms, 1)}</td>
                    <td className="num">{number(step.step_ms, 1)}</td>
                    <td>{step.daemon}</td>
                    <td>
                      <Badge tone={TONES[step.kind] ?? ""}>{step.kind}</Badge>
                    </td>
                    <td className="mono">{step.what}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scrolled>
        )}
        {!props.id.includes("|") && <p className="small"><To href={`/logs?trace=${encodeURIComponent(props.id)}`} onClick={props.onClose}>Log lines with this id</To></p>}
        <p className="muted small">Market time is India's. ms count machine time since the first step and since the step before.</p>
      </div>
    </Dialog>
  );
}
