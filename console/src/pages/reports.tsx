/** Research: reports of backtests, searches and checks, one drawn whole, several compared by their figures. */
import { useEffect, useState } from "react";
import { Link as To, useParams } from "wouter";
import { get } from "../api/client";
import { useAnswer } from "../api/hooks";
import type { Report, ReportEntry } from "../generated/api";
import { Curve } from "../charts/lazy";
import type { CurveLine } from "../charts/curve";
import { alignedCurves, equityOf } from "../report/equity";
import { ReportView } from "../report/view";
import { written } from "../report/values";
import { moment, rupees, words } from "../ui/format";
import { Badge, Card, ErrorNote, Page, Scrolled } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { ResearchQueue } from "./research_queue";

const addressOf = (id: string): string => `/api/reports/${id.split("/").map(encodeURIComponent).join("/")}`;
const NONE: readonly ReportEntry[] = [];
const key = (row: ReportEntry): string => row.id;
const MOST_COMPARED = 4;

export default function Reports() {
  const { name } = useParams();
  return name ? <One id={decodeURIComponent(name)} /> : <All />;
}

function All() {
  const answer = useAnswer<ReportEntry[]>("/api/reports");
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [columns] = useState((): readonly Column<ReportEntry>[] => [
    { id: "made", name: "Made", value: (row) => row.made_wall_ms, cell: (row) => moment(row.made_wall_ms) },
    { id: "kind", name: "Kind", value: (row) => row.kind, cell: (row) => <Badge>{words(row.kind)}</Badge> },
    { id: "title", name: "Report", value: (row) => row.title, cell: (row) => <To href={`/reports/${encodeURIComponent(row.id)}`}>{row.title}</To> },
    { id: "id", name: "Folder", value: (row) => row.id, extra: true, cell: (row) => <code>{row.id}</code> },
  ]);
  const [actions] = useState(() => (row: ReportEntry) => (
    <button type="button" className="small" onClick={() => setChosen((before) => (before.includes(row.id) ? before.filter((id) => id !== row.id) : [...before, row.id].slice(-MOST_COMPARED)))}>
      Compare
    </button>
  ));
  return (
    <Page title="Research" actions={<button type="button" onClick={answer.again} disabled={answer.busy}>Look again</button>}>
      <ResearchQueue onEnded={answer.again} />
      <ErrorNote error={answer.error} />
      {chosen.length > 0 && <Compared ids={chosen} onClear={() => setChosen([])} />}
      <Card plain>
        <Table label="reports" rows={answer.data ?? NONE} loaded={!answer.busy} columns={columns} rowKey={key} choose={["kind"]} sort={{ id: "made", desc: true }} actions={actions} empty="No report yet below the folder runs: queue a run above." />
      </Card>
    </Page>
  );
}

function One({ id }: { id: string }) {
  const answer = useAnswer<Report>(addressOf(id));
  return (
    <Page title={answer.data?.title ?? id} actions={<To href="/reports">All reports</To>}>
      <ErrorNote error={answer.error} />
      {answer.busy && !answer.data && <p className="muted">Reading the report…</p>}
      {answer.data?.subtitle && <p className="muted">{answer.data.subtitle}</p>}
      {answer.data && <ReportView report={answer.data} />}
    </Page>
  );
}

function Compared(props: { ids: readonly string[]; onClear: () => void }) {
  const [reports, setReports] = useState<Record<string, Report>>({});
  const [error, setError] = useState<unknown>(null);
  const asked = props.ids.join("\n");
  useEffect(() => {
    for (const id of asked.split("\n")) get<Report>(addressOf(id)).then((report) => setReports((before) => ({ ...before, [id]: report })), setError);
  }, [asked]);
  const drawn = props.ids.flatMap((id, at) => (reports[id] ? [{ id, number: at + 1, report: reports[id] }] : []));
  // of two runs with the same title, which differ by a parameter, the folder tells which is which
  const alike = (id: string): boolean => drawn.some((one) => one.id !== id && one.report.title === reports[id]?.title);
  const names = [...new Set(props.ids.flatMap((id) => reports[id]?.cards?.map((card) => card.name) ?? []))];
  return (
    <Card title="Compared" plain actions={<button type="button" className="small" onClick={props.onClear}>Clear</button>}>
      <ErrorNote error={error} />
      <EquityCurves runs={drawn} />
      {drawn.filter(({ report }) => !report.cards?.length).map(({ id, report }) => <p key={id} className="inside muted small">{report.title} is a {words(report.kind)}: it has no figures to compare; open it.</p>)}
      <Scrolled label="figures compared">
        <table>
          <thead>
            <tr>
              <th scope="col"><span>Figure</span></th>
              {props.ids.map((id, at) => <th key={id} scope="col" className="num"><span title={id}>{at + 1} {reports[id]?.title ?? "…"}{alike(id) && <span className="muted small"> {id.slice(id.lastIndexOf("/") + 1)}</span>}</span></th>)}
            </tr>
          </thead>
          <tbody>
            {names.map((name) => (
              <tr key={name}>
                <td>{name}</td>
                {props.ids.map((id) => {
                  const card = reports[id]?.cards?.find((one) => one.name === name);
                  return <td key={id} className="num">{card ? written(card.value.value, card.value.unit, card.value.digits) : "—"}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
    </Card>
  );
}

/** Equity of several runs on one axis of days, as a change from where each began. */
function EquityCurves(props: { runs: readonly { number: number; report: Report }[] }) {
  const found = props.runs.flatMap(({ number, report }) => {
    const series = equityOf(report);
    return series ? [{ number, title: report.title, series }] : [];
  });
  if (found.length < 2) return null;
  const [times, lines] = alignedCurves(found.map((one) => one.series));
  const drawn = found.map((one, at): CurveLine => ({ name: `${one.number} ${one.title}`, colour: COLOURS[(one.number - 1) % COLOURS.length] ?? "accent", values: lines[at] ?? [] }));
  return <div className="inside"><Curve label="Equity of the runs in rupees since the beginning of each" days times={times} lines={drawn} format={rupeesOf} height={260} /></div>;
}

const COLOURS = ["accent", "warn", "gain", "loss"] as const;
const rupeesOf = (value: number): string => rupees(value, 0);
