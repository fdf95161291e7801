/** The brokers' own books of all accounts (funds, holdings, …), read when asked, each with its age. */
import { useMemo, useState } from "react";
import { useAnswer } from "../api/hooks";
import type { BrokerBook } from "../generated/api";
import { number, span, words } from "../ui/format";
import { Card, ErrorNote, Tabs } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const BOOKS = ["funds", "holdings", "positions", "orders", "trades"] as const;

interface BookRow {
  key: string;
  account: string;
  ageS: number;
  fields: Record<string, unknown>;
}

const rowKey = (row: BookRow): string => row.key;

export function BrokerBooks() {
  const [book, setBook] = useState<(typeof BOOKS)[number]>("funds");
  const [asked, setAsked] = useState(false);
  const answer = useAnswer<BrokerBook[]>(asked ? `/api/books/${book}` : null);
  const rows = useMemo(
    () => (answer.data ?? []).flatMap((one) => one.rows.map((fields, index): BookRow => ({ key: `${one.account} ${index}`, account: one.account, ageS: one.age_s, fields }))),
    [answer.data],
  );
  const columns = useMemo((): readonly Column<BookRow>[] => {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.fields)))];
    return [
      { id: "account", name: "Account", value: (row) => row.account },
      { id: "age", name: "Read", value: (row) => row.ageS, cell: (row) => (row.ageS ? <span className="warn">{span(row.ageS)} ago</span> : "now") },
      ...names.map((name): Column<BookRow> => ({ id: `f ${name}`, name: words(name), num: rows.some((row) => typeof row.fields[name] === "number"), value: (row) => plain(row.fields[name]), cell: (row) => shown(row.fields[name]) })),
    ];
  }, [rows]);
  return (
    <Card
      title="As the brokers have it" plain
      actions={
        <>
          <Tabs label="Book" names={BOOKS} value={book} onChange={setBook} />
          <button type="button" className="small" disabled={asked && answer.busy} onClick={() => (asked ? answer.again() : setAsked(true))}>{asked ? "Read again" : "Read"}</button>
        </>
      }
    >
      <ErrorNote error={answer.error} />
      {answer.data?.filter((one) => one.problem).map((one) => <div key={one.account} className="note bad">{one.account} could not be read: {one.problem}</div>)}
      {asked && <Table label={`${book} of the brokers`} csv={book} rows={rows} loaded={!answer.busy} columns={columns} rowKey={rowKey} choose={["account"]} empty="Nothing there." />}
    </Card>
  );
}

const plain = (value: unknown): string | number | null => (value === null || value === undefined ? null : typeof value === "number" ? value : typeof value === "object" ? JSON.stringify(value) : String(value));
const shown = (value: unknown): string => (typeof value === "number" ? number(value, Number.isInteger(value) ? 0 : 2) : String(plain(value) ?? "—"));
