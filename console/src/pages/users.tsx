/** Users, roles and second factors. */
import { type FormEvent, type ReactNode, useState } from "react";
import { post } from "../api/client";
import { useAnswer } from "../api/hooks";
import type { UserEntry } from "../generated/api";
import { Dialog } from "../ui/dialog";
import { moment } from "../ui/format";
import { Badge, Card, ErrorNote, Field, Page } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const COLUMNS: readonly Column<UserEntry>[] = [
  { id: "name", name: "Name", value: (row) => row.name },
  { id: "role", name: "Role", value: (row) => row.role, cell: (row) => <Badge tone="info">{row.role}</Badge> },
  { id: "totp", name: "Second factor", value: (row) => row.totp, cell: (row) => (row.totp ? <Badge tone="good">authenticator</Badge> : <span className="muted">none</span>) },
  { id: "disabled", name: "State", value: (row) => row.disabled, cell: (row) => (row.disabled ? <Badge tone="bad">disabled</Badge> : "active") },
  { id: "login", name: "Last login", extra: true, value: (row) => row.last_login_wall_ms, cell: (row) => moment(row.last_login_wall_ms) },
  { id: "created", name: "Made", extra: true, value: (row) => row.created_wall_ms, cell: (row) => moment(row.created_wall_ms) },
];

const NONE: readonly UserEntry[] = [];
const key = (row: UserEntry): string => row.name;
const ROLES = ["viewer", "trader", "admin"] as const;

export default function Users() {
  const answer = useAnswer<UserEntry[]>("/api/users");
  const [edited, setEdited] = useState<UserEntry | "new" | null>(null);
  const [actions] = useState(() => (row: UserEntry): ReactNode => (
    <button type="button" className="small" onClick={() => setEdited(row)} aria-label={`Change ${row.name}`}>Change</button>
  ));
  const done = () => {
    setEdited(null);
    answer.again();
  };
  return (
    <Page title="Users" actions={<button type="button" className="primary" onClick={() => setEdited("new")}>New user</button>}>
      <ErrorNote error={answer.error} />
      <Card plain>
        <Table plain label="users" rows={answer.data ?? NONE} loaded={!answer.busy} columns={COLUMNS} rowKey={key} actions={actions} />
      </Card>
      <p className="muted small">A viewer sees. A trader halts, reduces, flattens, switches, cancels, modifies, closes and claims. An admin edits users and settings too.</p>
      {edited && <UserDialog user={edited === "new" ? null : edited} onDone={done} onClose={() => setEdited(null)} />}
    </Page>
  );
}

function UserDialog(props: { user: UserEntry | null; onDone: () => void; onClose: () => void }) {
  const { user } = props;
  const [name, setName] = useState(user?.name ?? "");
  const [role, setRole] = useState<UserEntry["role"]>(user?.role ?? "viewer");
  const [password, setPassword] = useState("");
  const [disabled, setDisabled] = useState(user?.disabled ?? false);
  const [noTotp, setNoTotp] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  async function save(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    try {
      if (!user) await post("/api/users", { name, password, role });
      else {
        await post(`/api/users/${encodeURIComponent(user.name)}`, {
          ...(role !== user.role ? { role } : {}),
          ...(disabled !== user.disabled ? { disabled } : {}),
          ...(password ? { password } : {}),
          ...(noTotp ? { reset_totp: true } : {}),
        });
      }
      props.onDone();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }
  return (
    <Dialog title={user ? `Change ${user.name}` : "New user"} onClose={props.onClose}>
      <form onSubmit={save}>
        <div className="form">
          {!user && (
            <Field label="Name, 3 to 20 characters">
              <input required autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
            </Field>
          )}
          <Field label="Role">
            <select value={role} onChange={(event) => setRole(event.target.value as UserEntry["role"])}>
              {ROLES.map((one) => <option key={one}>{one}</option>)}
            </select>
          </Field>
          <Field label={user ? "New password (empty: as it is)" : "Password"}>
            <input type="password" required={!user} autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} />
          </Field>
        </div>
        {user && (
          <>
            <label className="tick"><input type="checkbox" checked={disabled} onChange={(event) => setDisabled(event.target.checked)} /> disabled: cannot log in</label>
            {user.totp && <label className="tick"><input type="checkbox" checked={noTotp} onChange={(event) => setNoTotp(event.target.checked)} /> remove the second factor</label>}
            <p className="muted small">All sessions of the user end.</p>
          </>
        )}
        <ErrorNote error={error} />
        <footer><button type="submit" className="primary" disabled={busy}>Save</button></footer>
      </form>
    </Dialog>
  );
}
