/** Logs of all processes: by process, level, text and trace, followed live. */
import { useEffect, useRef, useState } from "react";
import { useAnswer } from "../api/hooks";
import type { LogLine } from "../generated/api";
import { useTopic } from "../live/hooks";
import { clock } from "../ui/format";
import { Badge, Card, Empty, ErrorNote, Field, Page, type Tone } from "../ui/parts";

const LEVELS = ["debug", "info", "warning", "error", "critical"];
const TONES: Record<string, Tone> = { warning: "care", error: "bad", critical: "bad" };
/** 20 such questions a minute are allowed to one address. */
const EVERY_MS = 5000;

export default function Logs() {
  const processes = useTopic("processes").rows;
  const [process, setProcess] = useState("");
  const [level, setLevel] = useState("info");
  const [text, setText] = useState("");
  const [trace, setTrace] = useState("");
  const [asked, setAsked] = useState({ text: "", trace: "" });
  const [follow, setFollow] = useState(true);
  const answer = useAnswer<LogLine[]>("/api/logs", { process, level, ...asked, limit: 400 }, follow ? EVERY_MS : 0);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (follow && answer.data && place.current) place.current.scrollTop = place.current.scrollHeight;
  }, [answer.data, follow]);
  return (
    <Page
      title="Logs"
      actions={
        <label className="tick">
          <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.target.checked)} /> follow, every {EVERY_MS / 1000} s
        </label>
      }
    >
      <Card>
        <form
          className="form"
          onSubmit={(event) => {
            event.preventDefault();
            setAsked({ text, trace });
          }}
        >
          <Field label="Process">
            <select value={process} onChange={(event) => setProcess(event.target.value)}>
              <option value="">all</option>
              {processes.map((row) => (
                <option key={row.name}>{row.name}</option>
              ))}
            </select>
          </Field>
          <Field label="Level, and above">
            <select value={level} onChange={(event) => setLevel(event.target.value)}>
              {LEVELS.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </Field>
          <Field label="Text (Enter)">
            <input type="search" value={text} onChange={(event) => setText(event.target.value)} />
          </Field>
          <Field label="Trace: an order or signal (Enter)">
            <input type="search" value={trace} onChange={(event) => setTrace(event.target.value)} />
          </Field>
          <button type="submit" className="hidden">Ask</button>
        </form>
      </Card>
      <ErrorNote error={answer.error} />
      <Card plain>
        <div className="logs" ref={place} tabIndex={0} role="log" aria-label="Log lines">
          {answer.data?.length === 0 && <Empty>No line matches.</Empty>}
          {answer.data?.map((line, index) => (
            // lines have no id of their own
            <div key={`${line.wall_ms} ${index}`}>
              <span className="muted nowrap">{clock(line.wall_ms)}</span>
              <span className="nowrap">{line.process}</span>
              {TONES[line.level] ? <Badge tone={TONES[line.level]}>{line.level}</Badge> : <span className="muted">{line.level}</span>}
              <span className="text">
                <strong>{line.event}</strong> {line.text}
              </span>
            </div>
          ))}
        </div>
      </Card>
      <p className="muted small">Times are wall time in India. Newest last.</p>
    </Page>
  );
}
