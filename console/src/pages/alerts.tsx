/** Active alerts: how urgent, of what, how often, since when, and who has seen them. They clear when their cause ends. */
import { useState } from "react";
import { Link as To } from "wouter";
import { useRole } from "../api/session";
import type { AlertRow } from "../generated/api";
import { useTopic } from "../live/hooks";
import { ActionDialog } from "../ui/action";
import { number, when } from "../ui/format";
import { Card, Page } from "../ui/parts";
import { Severity } from "../ui/states";
import { type Act, type Column, Table } from "../ui/table";
import { WhyButton, WhyDialog } from "../ui/why";

const RANK: Record<string, number> = { critical: 2, warning: 1, info: 0 };

const COLUMNS: readonly Column<AlertRow>[] = [
  { id: "severity", name: "Severity", num: false, value: (row) => `${RANK[row.severity] ?? 0} ${row.severity}`, cell: (row) => <Severity value={row.severity} /> },
  { id: "code", name: "Code", value: (row) => row.code, cell: (row) => <code>{row.code}</code> },
  { id: "subject", name: "Subject", value: (row) => row.subject, extra: true },
  { id: "message", name: "Message", fold: true, value: (row) => row.message, cell: (row) => <span className="wrap">{row.message}</span> },
  { id: "daemon", name: "From", value: (row) => row.daemon, extra: true },
  { id: "count", name: "Times", num: true, extra: true, flash: true, value: (row) => row.count, cell: (row) => number(row.count) },
  { id: "first", name: "First", extra: true, value: (row) => row.first_ms, cell: (row) => when(row.first_ms) },
  { id: "last", name: "Last", value: (row) => row.last_ms, cell: (row) => when(row.last_ms) },
  { id: "seen", name: "Seen by", fold: true, value: (row) => row.seen_by, cell: (row) => (row.seen_by ? <span title={when(row.seen_ms)}>{row.seen_by}</span> : <span className="muted">nobody</span>) },
];

/** Whether alerts leave this machine: the operator's own command, and how often it failed. */
function Notifications() {
  const figures = useTopic("processes").rows.find((row) => row.name === "gateway")?.figures;
  if (!figures) return null;
  const { alerts_handed_over: handed, alert_command_failed: failed } = figures;
  return (
    <p className="muted small">
      {handed === undefined ? "No ALERT_COMMAND is set: alerts are told here, on the live screen and in the shell alone." : `Told to ALERT_COMMAND since the gateway began: ${number(handed)}.`}{" "}
      {failed ? <><span className="loss">{number(failed)} failed.</span> <To href="/logs?text=alert_command">Log lines</To></> : null}
    </p>
  );
}

const key = (row: AlertRow): string => row.id;
const named = (row: AlertRow): string => `${row.code} ${row.subject}`.trim();

export default function Alerts() {
  const alerts = useTopic("alerts");
  const mayAct = useRole("trader");
  const [chosen, setChosen] = useState<AlertRow | null>(null);
  const [why, setWhy] = useState<AlertRow | null>(null);
  const [viewed] = useState(() => (row: AlertRow) => <WhyButton name={named(row)} onPress={() => setWhy(row)} />);
  const [acted] = useState(() => (row: AlertRow, act: Act) => (
    <>
      {!row.seen_by && (
        <button type="button" className="small" onClick={act(() => setChosen(row))}>
          Acknowledge
        </button>
      )}
      {viewed(row)}
    </>
  ));
  return (
    <Page title="Alerts">
      <Notifications />
      <Card plain>
        <Table label="alerts" csv="alerts" rows={alerts.rows} loaded={alerts.loaded} columns={COLUMNS} rowKey={key} choose={["daemon"]} sort={{ id: "severity", desc: true }} actions={mayAct ? acted : viewed} empty="No active alert." />
      </Card>
      {why && <WhyDialog id={why.id} name={named(why)} onClose={() => setWhy(null)} />}
      {chosen && (
        <ActionDialog title={`Acknowledge ${chosen.code}`} action="acknowledge" body={{ alert: chosen.id }} button="Acknowledge" onClose={() => setChosen(null)}>
          <p>{chosen.message}</p>
          <p className="muted">It leaves "needs you" under your name. It stays active until its cause ends, and comes back if it grows worse.</p>
        </ActionDialog>
      )}
    </Page>
  );
}
