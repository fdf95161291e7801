/** Login, and the first user of a new installation. */
import { type FormEvent, type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { ApiFailure, post } from "../api/client";
import { dropPage, setSession } from "../api/session";
import type { SessionInfo } from "../generated/api";
import { ErrorNote, Field } from "../ui/parts";

export function Login(props: { session: SessionInfo }) {
  return (
    <main className={`login mode-${props.session.mode}`}>
      <LoginCard mode={props.session.mode}>{props.session.first_user ? <FirstUser /> : <LoginForm />}</LoginCard>
    </main>
  );
}

/** The login over a page whose session ended. The page waits for its owner; anybody else begins with an empty one. */
export function LoginAgain({ session, owner }: { session: SessionInfo; owner: string }) {
  const element = useRef<HTMLDialogElement>(null);
  const show = () => {
    if (element.current && !element.current.open) element.current.showModal();
  };
  useLayoutEffect(() => {
    const dialog = element.current;
    show();
    return () => dialog?.close();
  }, []);
  const other = session.user?.name;
  return (
    <dialog ref={element} className="over" aria-label="Log in again" onCancel={(event) => event.preventDefault()} onClose={show}>
      <div className={`login mode-${session.mode}`}>
        <LoginCard mode={session.mode}>
          {other ? (
            <div className="stack note care">
              <p>{other} is logged in in this browser now. What {owner} typed on this page is kept for {owner} alone, and is lost if {other} goes on here.</p>
              <button type="button" onClick={dropPage}>Go on as {other}</button>
            </div>
          ) : (
            <p className="note care">The session of {owner} has ended. The page is kept with what was typed on it, until {owner} logs in again.</p>
          )}
          {session.first_user ? <FirstUser /> : <LoginForm name={owner} />}
        </LoginCard>
      </div>
    </dialog>
  );
}

function LoginCard(props: { mode: string; children: ReactNode }) {
  return (
    <section className="card">
      <header>
        <h1>MyTrading</h1>
        <span className="mode">{props.mode.toUpperCase()}</span>
      </header>
      <div className="inside">{props.children}</div>
    </section>
  );
}

function useForm(path: string) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  async function send(event: FormEvent, body: object) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      setSession(await post<SessionInfo>(path, body));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  return { error, busy, send };
}

function LoginForm(props: { name?: string }) {
  const [name, setName] = useState(props.name ?? "");
  const [password, setPassword] = useState("");
  const [totp, setTotp] = useState("");
  const form = useForm("/api/login");
  const [codeNeeded, setCodeNeeded] = useState(false);
  if (!codeNeeded && form.error instanceof ApiFailure && form.error.code === "TOTP_NEEDED") setCodeNeeded(true);
  return (
    <form className="stack" onSubmit={(event) => form.send(event, { name, password, ...(codeNeeded ? { totp } : {}) })}>
      <Field label="Name">
        <input autoFocus={!props.name} required autoComplete="username" value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Password">
        <input type="password" autoFocus={Boolean(props.name)} required autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} />
      </Field>
      {codeNeeded && (
        <Field label="Code of your authenticator">
          <input inputMode="numeric" autoComplete="one-time-code" required autoFocus value={totp} onChange={(event) => setTotp(event.target.value)} />
        </Field>
      )}
      <ErrorNote error={form.error} />
      <button type="submit" className="primary" disabled={form.busy}>
        Log in
      </button>
    </form>
  );
}

function FirstUser() {
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const form = useForm("/api/first-user");
  const differs = again !== "" && again !== password;
  const failed = (field: string) => (form.error instanceof ApiFailure && form.error.body.field === field ? form.error.message : null);
  return (
    <form className="stack" onSubmit={(event) => form.send(event, { code, name, password })}>
      <p>
        Nobody has an account here yet. The first one is the administrator. Print the code in a shell on the machine: <code>mytrading console code</code>
      </p>
      <Field label="Code from the shell" error={failed("code")}>
        <input autoFocus required autoComplete="off" value={code} onChange={(event) => setCode(event.target.value)} />
      </Field>
      <Field label="Name" error={failed("name")}>
        <input required autoComplete="username" value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Password: 8 to 128 characters, with upper and lower case, digit and punctuation" error={failed("password")}>
        <input type="password" required autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} />
      </Field>
      <Field label="Password again" error={differs ? "The two passwords differ." : null}>
        <input type="password" required autoComplete="new-password" value={again} onChange={(event) => setAgain(event.target.value)} />
      </Field>
      <ErrorNote error={form.error} />
      <button type="submit" className="primary" disabled={form.busy || differs}>
        Make the administrator
      </button>
    </form>
  );
}
