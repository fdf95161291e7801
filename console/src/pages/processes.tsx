/** Processes of the stack: state, load, memory. */
import type { ProcessRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { number, span, words } from "../ui/format";
import { Badge, Card, Page, type Tone } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const TONES: Record<string, Tone> = { RUNNING: "good", STARTING: "info", DEGRADED: "care", STOPPING: "care", SILENT: "bad", ABSENT: "bad" };

const COLUMNS: readonly Column<ProcessRow>[] = [
  { id: "name", name: "Process", value: (row) => row.name },
  { id: "state", name: "State", value: (row) => row.state, cell: (row) => <Badge tone={TONES[row.state] ?? ""}>{words(row.state)}{row.ready ? "" : ", not ready"}</Badge> },
  { id: "age", name: "Last sign", num: true, value: (row) => row.age_s, cell: (row) => span(row.age_s) },
  { id: "restarts", name: "Restarts", num: true, value: (row) => row.restarts },
  { id: "lag", name: "Lag ms", num: true, value: (row) => row.lag_ms, cell: (row) => number(row.lag_ms, 1) },
  { id: "queue", name: "Queue", num: true, extra: true, value: (row) => row.queue_depth, cell: (row) => number(row.queue_depth) },
  { id: "handled", name: "Handled", num: true, extra: true, value: (row) => row.handled, cell: (row) => number(row.handled) },
  { id: "p50", name: "Half within µs", num: true, extra: true, value: (row) => row.handler_p50_us, cell: (row) => number(row.handler_p50_us) },
  { id: "p99", name: "99 % within µs", num: true, extra: true, value: (row) => row.handler_p99_us, cell: (row) => number(row.handler_p99_us) },
  { id: "rss", name: "Memory MB", num: true, value: (row) => row.rss_mb, cell: (row) => number(row.rss_mb) },
  { id: "cpu", name: "CPU s", num: true, extra: true, value: (row) => row.cpu_s, cell: (row) => number(row.cpu_s, 1) },
  { id: "dropped", name: "Dropped", num: true, extra: true, value: (row) => row.dropped + row.bad_frames, cell: (row) => number(row.dropped + row.bad_frames) },
  { id: "pid", name: "PID", num: true, extra: true, value: (row) => row.pid },
  { id: "notes", name: "Notes", value: (row) => row.notes.join("; "), cell: (row) => <span className="small wrap">{row.notes.join("; ")}</span> },
];

const key = (row: ProcessRow): string => row.name;

export default function Processes() {
  const processes = useTopic("processes");
  const memory = processes.rows.reduce((sum, row) => sum + row.rss_mb, 0);
  return (
    <Page title="Processes" actions={<span className="muted">{number(memory)} MB together</span>}>
      <Card plain>
        <Table plain label="processes" rows={processes.rows} loaded={processes.loaded} columns={COLUMNS} rowKey={key} />
      </Card>
    </Page>
  );
}
