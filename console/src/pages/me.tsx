/** My account: password, second factor, sessions; and about the console. */
import { type FormEvent, useState } from "react";
import { post } from "../api/client";
import { useAnswer } from "../api/hooks";
import { setSession, useSession } from "../api/session";
import type { SessionEntry, SessionInfo, TotpSecret } from "../generated/api";
import { BUILD } from "../live/hooks";
import { Dialog } from "../ui/dialog";
import { moment } from "../ui/format";
import { Badge, Card, ErrorNote, Field, Page } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { toast } from "../ui/toast";

const COLUMNS: readonly Column<SessionEntry>[] = [
  { id: "user", name: "User", value: (row) => row.user, cell: (row) => <>{row.user} {row.current && <Badge tone="info">this one</Badge>}</> },
  { id: "seen", name: "Last seen", value: (row) => row.seen_wall_ms, cell: (row) => moment(row.seen_wall_ms) },
  { id: "created", name: "Began", extra: true, value: (row) => row.created_wall_ms, cell: (row) => moment(row.created_wall_ms) },
  { id: "ends", name: "Ends", extra: true, value: (row) => row.ends_wall_ms, cell: (row) => moment(row.ends_wall_ms) },
  { id: "ip", name: "From", value: (row) => row.ip },
  { id: "agent", name: "Browser", extra: true, value: (row) => row.agent, cell: (row) => <span className="small" title={row.agent}>{row.agent}</span> },
  { id: "viewers", name: "Open pages", num: true, value: (row) => row.viewers },
];

const NONE: readonly SessionEntry[] = [];
const key = (row: SessionEntry): string => row.id;

export default function Me() {
  const user = useSession()?.user;
  const sessions = useAnswer<SessionEntry[]>("/api/sessions");
  const again = sessions.again;
  const [actions] = useState(() => (row: SessionEntry) =>
    row.current ? null : (
      <button
        type="button" className="small"
        onClick={() => post(`/api/sessions/${encodeURIComponent(row.id)}/revoke`).then(again, (error: Error) => toast("bad", error.message))}
      >
        End it
      </button>
    ),
  );
  return (
    <Page title={`My account: ${user?.name ?? ""}`}>
      <div className="columns">
        <Password />
        <SecondFactor />
      </div>
      <ErrorNote error={sessions.error} />
      <Card title="Sessions" plain>
        <Table plain label="sessions" rows={sessions.data ?? NONE} loaded={!sessions.busy} columns={COLUMNS} rowKey={key} actions={actions} sort={{ id: "seen", desc: true }} />
      </Card>
      <Card title="About">
        <p>MyTrading console, build <code>{BUILD}</code>. Keys: Alt+Shift+H opens the emergency dialog on every page.</p>
        <p className="muted small">
          Charts of prices: Lightweight Charts™, © 2025 TradingView, Inc. (<a href="https://www.tradingview.com/" rel="noreferrer noopener" target="_blank">tradingview.com</a>), Apache License 2.0. Curves: uPlot, © Leon Sorokin, MIT.
          React, © Meta Platforms, MIT. TanStack Table and Virtual, © Tanner Linsley, MIT. wouter, Unlicense.
        </p>
      </Card>
    </Page>
  );
}

function Password() {
  const [password, setPassword] = useState("");
  const [fresh, setFresh] = useState("");
  const [repeated, setRepeated] = useState("");
  const [error, setError] = useState<unknown>(null);
  const differs = repeated !== "" && repeated !== fresh;
  async function save(event: FormEvent) {
    event.preventDefault();
    setError(null);
    try {
      setSession(await post<SessionInfo>("/api/password", { password, new_password: fresh }));
      toast("good", "The password is changed; your other sessions ended.");
      setPassword("");
      setFresh("");
      setRepeated("");
    } catch (failure) {
      setError(failure);
    }
  }
  return (
    <Card title="Password">
      <form className="stack" onSubmit={save}>
        <Field label="Password now"><input type="password" required autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} /></Field>
        <Field label="New password"><input type="password" required autoComplete="new-password" value={fresh} onChange={(event) => setFresh(event.target.value)} /></Field>
        <Field label="New password again" error={differs ? "The two passwords differ." : null}><input type="password" required autoComplete="new-password" value={repeated} onChange={(event) => setRepeated(event.target.value)} /></Field>
        <ErrorNote error={error} />
        <div className="row"><button type="submit" className="primary" disabled={differs}>Change the password</button></div>
      </form>
    </Card>
  );
}

function SecondFactor() {
  const user = useSession()?.user;
  const [secret, setSecret] = useState<TotpSecret | null>(null);
  const [error, setError] = useState<unknown>(null);
  const begin = () => post<TotpSecret>("/api/totp/begin").then(setSecret, setError);
  const remove = () => post<SessionInfo>("/api/totp/remove").then(setSession, setError);
  return (
    <Card title="Second factor">
      <div className="stack">
        {user?.totp ? <p>Your logins ask for a code of your authenticator.</p> : <p>A code of an authenticator app at each login, and where an action asks who you are.</p>}
        <ErrorNote error={error} />
        <div className="row">
          {user?.totp ? <button type="button" onClick={remove}>Remove it</button> : <button type="button" className="primary" onClick={begin}>Set it up</button>}
        </div>
      </div>
      {secret && <TotpDialog secret={secret} onClose={() => setSecret(null)} />}
    </Card>
  );
}

function TotpDialog(props: { secret: TotpSecret; onClose: () => void }) {
  const [code, setCode] = useState("");
  const [error, setError] = useState<unknown>(null);
  async function save(event: FormEvent) {
    event.preventDefault();
    try {
      setSession(await post<SessionInfo>("/api/totp/confirm", { totp: code }));
      toast("good", "The second factor is on.");
      props.onClose();
    } catch (failure) {
      setError(failure);
    }
  }
  const { qr_size: size, qr_svg: path } = props.secret;
  return (
    <Dialog title="Set up the second factor" onClose={props.onClose}>
      <form onSubmit={save}>
        <p>Scan this with an authenticator, or type the secret, then enter the code that it shows.</p>
        <svg className="qr" viewBox={`-4 -4 ${size + 8} ${size + 8}`} role="img" aria-label="QR code of the secret" shapeRendering="crispEdges">
          <rect x={-4} y={-4} width={size + 8} height={size + 8} fill="#fff" />
          <path d={path} fill="#000" />
        </svg>
        <code>{props.secret.secret}</code>
        <Field label="Code"><input required inputMode="numeric" autoComplete="one-time-code" value={code} onChange={(event) => setCode(event.target.value.trim())} /></Field>
        <ErrorNote error={error} />
        <footer><button type="submit" className="primary">Confirm</button></footer>
      </form>
    </Dialog>
  );
}
