/** "Confirm it is you": asks for the password or a code where an action needs it, then the same request goes on. */
import { type FormEvent, useEffect, useRef, useState } from "react";
import { onConfirmNeeded, post } from "../api/client";
import { setSession, useSession } from "../api/session";
import type { SessionInfo } from "../generated/api";
import { Dialog } from "../ui/dialog";
import { ErrorNote, Field } from "../ui/parts";

export function ConfirmHost() {
  const [asked, setAsked] = useState(false);
  const answer = useRef<(confirmed: boolean) => void>(() => undefined);
  useEffect(() => {
    onConfirmNeeded(
      () =>
        new Promise((resolve) => {
          answer.current = resolve;
          setAsked(true);
        }),
    );
  }, []);
  if (!asked) return null;
  const end = (confirmed: boolean) => {
    setAsked(false);
    answer.current(confirmed);
  };
  return <ConfirmDialog onDone={() => end(true)} onClose={() => end(false)} />;
}

function ConfirmDialog(props: { onDone: () => void; onClose: () => void }) {
  const user = useSession()?.user;
  const [secret, setSecret] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const byCode = /^\d{6}$/.test(secret) && Boolean(user?.totp);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    try {
      setSession(await post<SessionInfo>("/api/confirm", byCode ? { totp: secret } : { password: secret }));
      props.onDone();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <Dialog title="Confirm it is you" onClose={props.onClose}>
      <form onSubmit={submit}>
        <p>This action needs {user?.totp ? "your password or a code of your authenticator" : "your password"} again.</p>
        <input type="text" autoComplete="username" value={user?.name ?? ""} readOnly className="hidden" tabIndex={-1} aria-hidden="true" />
        <Field label={user?.totp ? "Password or 6-digit code" : "Password"}>
          <input type="password" autoComplete="current-password" required data-focus value={secret} onChange={(event) => setSecret(event.target.value)} />
        </Field>
        <ErrorNote error={error} />
        <footer>
          <button type="submit" className="primary" disabled={busy}>
            Confirm
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
