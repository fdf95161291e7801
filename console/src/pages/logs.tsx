/** Logs of all processes: by process, level, text and trace; followed as they come, or searched back through all files. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { get } from "../api/client";
import type { LogLine, LogSearch } from "../generated/api";
import { useTopic } from "../live/hooks";
import { takeParameters } from "../shell/parameters";
import { clock, moment, number } from "../ui/format";
import { Badge, Card, Empty, ErrorNote, Field, Page, type Tone } from "../ui/parts";
import { saveFile } from "../ui/table";

const LEVELS = ["debug", "info", "warning", "error", "critical"];
const TONES: Record<string, Tone> = { warning: "care", error: "bad", critical: "bad" };
const MOST = 500;

interface LogFilter {
  process: string;
  level: string;
  text: string;
  trace: string;
}

function fits(line: LogLine, filter: LogFilter): boolean {
  if (filter.process && line.process !== filter.process) return false;
  if (LEVELS.indexOf(line.level || "info") < LEVELS.indexOf(filter.level)) return false;
  const said = `${line.event} ${line.text}`.toLowerCase();
  return said.includes(filter.text.toLowerCase()) && said.includes(filter.trace.toLowerCase());
}

export default function Logs() {
  const processes = useTopic("processes").rows;
  const [filter, setFilter] = useState<LogFilter>(() => {
    const asked = takeParameters();
    return { process: asked.get("process") ?? "", level: "info", text: asked.get("text") ?? "", trace: asked.get("trace") ?? "" };
  });
  const [asked, setAsked] = useState<LogFilter | null>(filter.trace || filter.text || filter.process ? filter : null);
  const change = (fields: Partial<LogFilter>) => setFilter({ ...filter, ...fields });
  return (
    <Page
      title="Logs"
      actions={
        <label className="tick">
          <input type="checkbox" checked={asked === null} onChange={(event) => setAsked(event.target.checked ? null : filter)} /> follow
        </label>
      }
    >
      <Card>
        <form
          className="form"
          onSubmit={(event) => {
            event.preventDefault();
            setAsked({ ...filter });
          }}
        >
          <Field label="Process">
            <select value={filter.process} onChange={(event) => change({ process: event.target.value })}>
              <option value="">all</option>
              {processes.map((row) => <option key={row.name}>{row.name}</option>)}
            </select>
          </Field>
          <Field label="Level, and above">
            <select value={filter.level} onChange={(event) => change({ level: event.target.value })}>
              {LEVELS.map((one) => <option key={one}>{one}</option>)}
            </select>
          </Field>
          <Field label="Text"><input type="search" value={filter.text} onChange={(event) => change({ text: event.target.value })} /></Field>
          <Field label="Trace: an order or signal"><input type="search" value={filter.trace} onChange={(event) => change({ trace: event.target.value })} /></Field>
          <div className="row"><button type="submit">Search the whole log</button></div>
        </form>
      </Card>
      {asked ? <Searched filter={asked} /> : <Followed filter={filter} />}
      <p className="muted small">Times are wall time in India. Newest last.</p>
    </Page>
  );
}

/** The last lines, as they come. */
function Followed({ filter }: { filter: LogFilter }) {
  const log = useTopic("log");
  const lines = useMemo(() => log.rows.filter((line) => fits(line, filter)), [log.rows, filter]);
  return <Lines lines={lines} loaded={log.loaded} />;
}

/** Slices of a search, the newest first: each further one goes on where the one before it ended. */
function Searched({ filter }: { filter: LogFilter }) {
  const [slices, setSlices] = useState<readonly LogSearch[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const newest = useRef(0);
  const look = useCallback(async (before: string, earlier: readonly LogSearch[]) => {
    const turn = ++newest.current;
    setBusy(true);
    setError(null);
    try {
      const found = await get<LogSearch>("/api/logs", { ...filter, before, limit: MOST });
      if (turn === newest.current) setSlices([...earlier, found]);
    } catch (failure) {
      if (turn === newest.current) setError(failure);
    } finally {
      if (turn === newest.current) setBusy(false);
    }
  }, [filter]);
  useEffect(() => {
    setSlices([]);
    void look("", []);
  }, [look]);
  const lines = useMemo(() => [...slices].reverse().flatMap((slice) => slice.lines), [slices]);
  const last = slices.at(-1);
  const looked = slices.reduce((sum, slice) => sum + slice.looked_bytes, 0);
  return (
    <>
      <ErrorNote error={error} />
      <p className="row small" role="status">
        {!last && (busy ? "Searching…" : "")}
        {last && (last.older ? `Looked through ${size(looked)}, back to ${moment(last.back_to_ms)}.` : `Looked through the whole log, ${size(looked)}${last.back_to_ms ? `, back to ${moment(last.back_to_ms)}` : ""}.`)}
        {last?.older && <button type="button" className="small" disabled={busy} onClick={() => void look(last.older, slices)}>{busy ? "Searching…" : "Search older lines"}</button>}
      </p>
      <Lines lines={lines} loaded={last !== undefined || error !== null} open={Boolean(last?.older)} />
    </>
  );
}

const size = (bytes: number): string => (bytes < 1e5 ? `${number(bytes / 1e3, 1)} kB` : `${number(bytes / 1e6, 1)} MB`);

function Lines({ lines, loaded, open }: { lines: readonly LogLine[]; loaded: boolean; open?: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  // who has scrolled up reads on undisturbed
  useEffect(() => {
    if (place.current && atEnd.current && lines.length) place.current.scrollTop = place.current.scrollHeight;
  }, [lines]);
  const save = () => saveFile("log.txt", lines.map((line) => `${moment(line.wall_ms)} ${line.process} ${line.level} ${line.event} ${line.text}`).join("\n"), "text/plain");
  return (
    <Card plain title={`${lines.length} lines`} actions={<button type="button" className="small" onClick={save}>Download</button>}>
      <div
        className="logs" ref={place} tabIndex={0} role="log" aria-label="Log lines"
        onScroll={(event) => {
          const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
          atEnd.current = scrollTop + clientHeight > scrollHeight - 40;
        }}
      >
        {!lines.length && <Empty>{loaded ? (open ? "No line matches so far." : "No line matches.") : "Waiting for data…"}</Empty>}
        {lines.map((line, index) => (
          // lines of a search have no id of their own
          <div key={"id" in line ? String(line.id) : `${line.wall_ms} ${index}`}>
            <span className="muted nowrap" title={moment(line.wall_ms)}>{clock(line.wall_ms)}</span>
            <span className="nowrap">{line.process}</span>
            {TONES[line.level] ? <Badge tone={TONES[line.level]}>{line.level}</Badge> : <span className="muted">{line.level}</span>}
            <span className="text">
              <strong>{line.event}</strong> {line.text}
            </span>
          </div>
        ))}
      </div>
    </Card>
  );
}
