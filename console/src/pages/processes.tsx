/** Processes of the stack: state, load, memory. */
import { useState } from "react";
import { useAnswer } from "../api/hooks";
import { useRole } from "../api/session";
import type { CheckRow, OperationRow, ProcessRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { number, span, words } from "../ui/format";
import { Badge, Card, ErrorNote, Page, type Tone } from "../ui/parts";
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

const ms = (value: number): string => number(value, value < 10 ? 3 : 1);
const OPERATIONS: readonly Column<OperationRow>[] = [
  { id: "operation", name: "Operation", value: (row) => row.operation },
  { id: "count", name: "Times", num: true, value: (row) => row.count, cell: (row) => number(row.count) },
  { id: "mean", name: "Mean ms", num: true, extra: true, value: (row) => row.mean, cell: (row) => ms(row.mean) },
  { id: "p50", name: "Half within ms", num: true, value: (row) => row.p50, cell: (row) => ms(row.p50) },
  { id: "p95", name: "95 % within ms", num: true, extra: true, value: (row) => row.p95, cell: (row) => ms(row.p95) },
  { id: "p99", name: "99 % within ms", num: true, value: (row) => row.p99, cell: (row) => ms(row.p99) },
  { id: "max", name: "Longest ms", num: true, value: (row) => row.max, cell: (row) => ms(row.max) },
  { id: "errors", name: "Errors", num: true, value: (row) => row.errors, cell: (row) => number(row.errors) },
];
const operationKey = (row: OperationRow): string => row.operation;
const NO_OPERATIONS: readonly OperationRow[] = [];

/** How long operations took since the start. */
function Operations() {
  const answer = useAnswer<OperationRow[]>("/api/performance", {}, 10_000);
  return (
    <Card title="Durations of operations" plain>
      <ErrorNote error={answer.error} />
      <Table label="operations" csv="operations" rows={answer.data ?? NO_OPERATIONS} loaded={answer.data !== null} columns={OPERATIONS} rowKey={operationKey} empty="Nothing was measured yet." />
    </Card>
  );
}

const VERDICTS: Record<string, Tone> = { ok: "good", warning: "care", failed: "bad" };
const CHECKS: readonly Column<CheckRow>[] = [
  { id: "check", name: "Check", value: (row) => [row.check, row.account].filter(Boolean).join(" of ") },
  { id: "verdict", name: "Verdict", value: (row) => row.verdict, cell: (row) => <Badge tone={VERDICTS[row.verdict] ?? ""}>{row.verdict}</Badge> },
  { id: "found", name: "Found", value: (row) => row.found, cell: (row) => <span className="small wrap">{row.found}</span> },
  { id: "cure", name: "What to do", value: (row) => row.cure, cell: (row) => <span className="small wrap">{row.cure}</span> },
];
const checkKey = (row: CheckRow): string => `${row.check} ${row.account}`;

/** What `mytrading doctor --quick` finds, asked for: it calls each account's server. */
function Checks() {
  const trader = useRole("trader");
  const [asked, setAsked] = useState(false);
  const answer = useAnswer<CheckRow[]>(asked ? "/api/doctor" : null);
  if (!trader) return null;
  return (
    <Card
      title="Machine, servers, broker sessions"
      plain
      actions={
        <button type="button" className="small" disabled={asked && answer.busy} onClick={() => (asked ? answer.again() : setAsked(true))}>
          {asked && answer.busy ? "Checking…" : "Check now"}
        </button>
      }
    >
      <ErrorNote error={answer.error} />
      {answer.data && <Table plain label="checks" rows={answer.data} loaded columns={CHECKS} rowKey={checkKey} />}
    </Card>
  );
}

const key = (row: ProcessRow): string => row.name;

export default function Processes() {
  const processes = useTopic("processes");
  const memory = processes.rows.reduce((sum, row) => sum + row.rss_mb, 0);
  return (
    <Page title="Processes" actions={<span className="muted">{number(memory)} MB together</span>}>
      <Card plain>
        <Table plain label="processes" rows={processes.rows} loaded={processes.loaded} columns={COLUMNS} rowKey={key} />
      </Card>
      <Checks />
      <Operations />
    </Page>
  );
}
