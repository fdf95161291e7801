/** Every setting in force and where it comes from. Read only: files and environment are edited in the shell. */
import { useAnswer } from "../api/hooks";
import type { SettingRow } from "../generated/api";
import { Card, ErrorNote, Page } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const COLUMNS: readonly Column<SettingRow>[] = [
  { id: "name", name: "Setting", value: (row) => row.name, cell: (row) => <code>{row.name}</code> },
  { id: "value", name: "Value", value: (row) => row.value, cell: (row) => <code>{row.value}</code> },
  { id: "origin", name: "From", value: (row) => row.origin },
];

const NONE: readonly SettingRow[] = [];
const key = (row: SettingRow): string => row.name;

export default function Settings() {
  const answer = useAnswer<SettingRow[]>("/api/settings");
  return (
    <Page title="Settings">
      <ErrorNote error={answer.error} />
      <Card plain>
        <Table label="settings" csv="settings" rows={answer.data ?? NONE} loaded={!answer.busy} columns={COLUMNS} rowKey={key} choose={["origin"]} />
      </Card>
    </Page>
  );
}
