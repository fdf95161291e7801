/** Trading days, holidays and special sessions by exchange. */
import { useState } from "react";
import { useAnswer } from "../api/hooks";
import type { CalendarDay } from "../generated/api";
import { day } from "../ui/format";
import { Badge, Card, ErrorNote, Page } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { ConfigEditor } from "./config_editor";

const COLUMNS: readonly Column<CalendarDay>[] = [
  { id: "day", name: "Day", value: (row) => row.day, cell: (row) => <DayName iso={row.day} /> },
  { id: "exchange", name: "Exchange", value: (row) => row.exchange },
  { id: "sessions", name: "Sessions, time of India", value: (row) => row.sessions.join(", "), cell: (row) => row.sessions.join(", ") || <span className="muted">closed</span> },
  { id: "holiday", name: "Holiday", value: (row) => row.holiday, cell: (row) => (row.holiday ? <Badge tone="care">{row.holiday}</Badge> : "") },
];

function DayName({ iso }: { iso: string }) {
  return `${new Date(`${iso}T12:00:00Z`).toLocaleDateString("en-IN", { weekday: "short", timeZone: "UTC" })} ${day(iso)}`;
}

const NONE: readonly CalendarDay[] = [];
const key = (row: CalendarDay): string => `${row.exchange} ${row.day}`;
const EXCHANGES = ["NSE", "NFO", "BSE", "BFO", "MCX", "CDS"];

export default function Calendar() {
  const [exchange, setExchange] = useState("NSE");
  const [days, setDays] = useState(60);
  const answer = useAnswer<CalendarDay[]>("/api/calendar", { exchange, days });
  return (
    <Page
      title="Calendar"
      actions={
        <>
          <select aria-label="Exchange" value={exchange} onChange={(event) => setExchange(event.target.value)}>
            {EXCHANGES.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
          <select aria-label="How many days" value={days} onChange={(event) => setDays(Number(event.target.value))}>
            {[30, 60, 180, 365].map((one) => (
              <option key={one} value={one}>{one} days</option>
            ))}
          </select>
        </>
      }
    >
      <ErrorNote error={answer.error} />
      <Card plain>
        <Table label="days" csv="calendar" rows={answer.data ?? NONE} loaded={!answer.busy} columns={COLUMNS} rowKey={key} sort={{ id: "day", desc: false }} />
      </Card>
      <ConfigEditor name="calendar" title="Trading hours and holidays" onSaved={answer.again} />
    </Page>
  );
}
