/** Accounts: funds, profit, status and the age of each figure; what the broker is reached at and how much of it is used. */
import { useMemo } from "react";
import type { AccountRow } from "../generated/api";
import { useLink, useTopic } from "../live/hooks";
import { number, profit, rupees, span } from "../ui/format";
import { Badge, Card, Figure, Figures, Page, Profit } from "../ui/parts";
import { Confidence } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { AccountSetups, Margins } from "./account_setup";
import { BrokerBooks } from "./broker_books";
import { MarginTablesCards } from "./margin_tables";

const key = (row: AccountRow): string => row.account;

/** Columns as of this second: ages move with it. */
function columnsAt(wallMs: number): readonly Column<AccountRow>[] {
  const age = (ms: number | null): number | null => (ms === null ? null : Math.max(wallMs - ms, 0) / 1000);
  return [
    { id: "account", name: "Account", value: (row) => row.account, cell: (row) => <>{row.account}<div className="muted small">{[row.broker, row.role].filter(Boolean).join(", ")}</div><div className="small"><code>{row.host}</code></div></> },
    { id: "role", name: "Role", value: (row) => row.role, hidden: true },
    { id: "broker", name: "Broker", value: (row) => row.broker, hidden: true },
    { id: "status", name: "Status", value: (row) => row.status, cell: (row) => <Badge tone={row.status === "connected" && row.right_mode !== false ? "good" : "bad"}>{row.right_mode === false ? "wrong mode" : row.status || "unknown"}</Badge> },
    { id: "free", name: "Free ₹", num: true, flash: true, value: (row) => row.available, cell: (row) => rupees(row.available) },
    { id: "used", name: "Margin used ₹", num: true, fold: true, value: (row) => row.used_margin, cell: (row) => rupees(row.used_margin) },
    { id: "collateral", name: "Collateral ₹", num: true, extra: true, value: (row) => row.collateral, cell: (row) => rupees(row.collateral) },
    { id: "open", name: "Open P&L", num: true, fold: true, value: (row) => row.unrealised, cell: (row) => <Profit value={row.unrealised} /> },
    { id: "realised", name: "Realised", num: true, fold: true, value: (row) => row.realised, cell: (row) => <Profit value={row.realised} /> },
    { id: "broker_realised", name: "At the broker", title: "Realised today as the broker says", num: true, extra: true, value: (row) => row.broker_realised, cell: (row) => <>{profit(row.broker_realised)}{row.not_comparable && <div className="muted small wrap">{row.not_comparable}</div>}</> },
    { id: "funds_age", name: "Funds read", num: true, fold: true, value: (row) => age(row.funds_wall_ms), cell: (row) => <span className={(age(row.funds_wall_ms) ?? 1e9) > 90 ? "warn" : ""}>{age(row.funds_wall_ms) === null ? "never" : `${span(age(row.funds_wall_ms))} ago`}</span> },
    { id: "books_age", name: "Books read", num: true, fold: true, value: (row) => age(row.books_wall_ms), cell: (row) => <>{age(row.books_wall_ms) === null ? "never" : `${span(age(row.books_wall_ms))} ago`}<div><Confidence value={row.books} /></div></> },
    { id: "calls", name: "Calls", title: "Order calls of this second, of those that the broker allows", num: true, extra: true, value: (row) => row.calls_used, cell: (row) => `${number(row.calls_used)} of ${number(row.calls_limit)}${row.calls_waiting ? `, ${row.calls_waiting} wait` : ""}` },
    { id: "host", name: "Server", value: (row) => row.host, hidden: true },
    { id: "message", name: "Message", fold: true, value: (row) => row.message, cell: (row) => <span className="small">{row.message}</span> },
  ];
}

const sum = (rows: readonly AccountRow[], of: (row: AccountRow) => number | null): number | null =>
  rows.some((row) => of(row) === null) ? null : rows.reduce((total, row) => total + (of(row) ?? 0), 0);

export default function Accounts() {
  const accounts = useTopic("accounts");
  const second = Math.floor((useLink().beat?.wall_ms ?? Date.now()) / 1000);
  const columns = useMemo(() => columnsAt(second * 1000), [second]);
  const { rows } = accounts;
  return (
    <Page title="Accounts and funds">
      <Card>
        <Figures>
          <Figure name="Accounts">{number(rows.length)}</Figure>
          <Figure name="Free together">{rupees(sum(rows, (row) => row.available), 0)}</Figure>
          <Figure name="Margin used together">{rupees(sum(rows, (row) => row.used_margin), 0)}</Figure>
          <Figure name="Open P&L"><Profit value={sum(rows, (row) => row.unrealised)} /></Figure>
          <Figure name="Realised today"><Profit value={sum(rows, (row) => row.realised)} /></Figure>
        </Figures>
      </Card>
      <Card plain>
        <Table label="accounts" csv="accounts" rows={rows} loaded={accounts.loaded} columns={columns} rowKey={key} choose={["role", "broker"]} />
      </Card>
      <BrokerBooks />
      <Margins />
      <MarginTablesCards />
      <AccountSetups />
    </Page>
  );
}
