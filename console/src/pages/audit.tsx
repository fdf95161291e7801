/** Who did what from where, refused attempts included. */
import { useState } from "react";
import { useAnswer } from "../api/hooks";
import type { AuditEntry } from "../generated/api";
import { moment } from "../ui/format";
import { Badge, Card, ErrorNote, Field, Page, type Tone } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const TONES: Record<string, Tone> = { done: "good", asked: "info", refused: "bad", failed: "bad" };

const COLUMNS: readonly Column<AuditEntry>[] = [
  { id: "at", name: "Time", value: (row) => row.wall_ms, cell: (row) => moment(row.wall_ms) },
  { id: "user", name: "User", value: (row) => row.user },
  { id: "ip", name: "From", value: (row) => row.ip, extra: true },
  { id: "action", name: "Action", value: (row) => row.action },
  { id: "target", name: "Of", value: (row) => row.target, extra: true },
  { id: "result", name: "Result", value: (row) => row.result, cell: (row) => <Badge tone={TONES[row.result] ?? ""}>{row.result}</Badge> },
  { id: "details", name: "Details", value: (row) => row.details, cell: (row) => <span className="small" title={row.details}>{row.details}</span> },
  { id: "request", name: "Request", value: (row) => row.request_id, extra: true, cell: (row) => <code>{row.request_id}</code> },
];

const NONE: readonly AuditEntry[] = [];
const key = (row: AuditEntry): string => String(row.id);

export default function Audit() {
  const [user, setUser] = useState("");
  const [action, setAction] = useState("");
  const [result, setResult] = useState("");
  const [before, setBefore] = useState(0);
  const answer = useAnswer<AuditEntry[]>("/api/audit", { user, action, result, limit: 500, before: before || undefined });
  const oldest = answer.data?.length === 500 ? Math.min(...answer.data.map((row) => row.id)) : 0;
  return (
    <Page title="Audit" actions={<a className="button small" href="/api/audit.csv">All as CSV</a>}>
      <Card>
        <div className="form">
          <Field label="User"><input value={user} onChange={(event) => setUser(event.target.value)} /></Field>
          <Field label="Action"><input value={action} onChange={(event) => setAction(event.target.value)} /></Field>
          <Field label="Result">
            <select value={result} onChange={(event) => setResult(event.target.value)}>
              <option value="">all</option>
              {Object.keys(TONES).map((one) => <option key={one}>{one}</option>)}
            </select>
          </Field>
        </div>
      </Card>
      <ErrorNote error={answer.error} />
      <Card plain>
        <Table
          label="audit" rows={answer.data ?? NONE} loaded={!answer.busy} columns={COLUMNS} rowKey={key} sort={{ id: "at", desc: true }}
          tools={
            <>
              {oldest > 0 && <button type="button" className="small" onClick={() => setBefore(oldest)}>Older</button>}
              {before > 0 && <button type="button" className="small" onClick={() => setBefore(0)}>Newest</button>}
            </>
          }
        />
      </Card>
    </Page>
  );
}
