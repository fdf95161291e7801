/**
 * Dialog of one action: what it will do in words, its fields, and the answer. "Taken" is not "done".
 *
 * The request id is made when the dialog opens and is the same for every try, until an answer says that it was refused.
 * An emergency that was changed after an answer was lost is another request: it may be sent beside the first.
 */
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { ApiFailure, post, requestId } from "../api/client";
import { useSession } from "../api/session";
import type { ActionTaken } from "../generated/api";
import { useLink } from "../live/hooks";
import { Dialog } from "./dialog";
import { ErrorNote, Field } from "./parts";
import { toast } from "./toast";

interface Props {
  title: string;
  /** Address below /api/actions/. */
  action: string;
  /** The body without request id and reason; null while the fields are not complete. */
  body: Record<string, unknown> | null;
  button: string;
  danger?: boolean;
  /** Works while nothing else is known to work: halts and kills. */
  emergency?: boolean;
  /** Hides the field of the reason. */
  noReason?: boolean;
  reasonNeeded?: boolean;
  /** Something changed since the dialog was opened. */
  changed?: string;
  onClose: () => void;
  /** Goes on instead of closing the dialog. */
  onTaken?: (taken: ActionTaken) => void;
  children?: ReactNode;
}

export function ActionDialog(props: Props) {
  const id = useRef("");
  if (!id.current) id.current = requestId();
  const link = useLink();
  const user = useSession()?.user;
  const [reason, setReason] = useState("");
  const [sending, setSending] = useState("");
  // an emergency that waits for its answer keeps nobody from another one, such as the kill file
  const busy = props.emergency ? sending === props.action : sending !== "";
  const [error, setError] = useState<unknown>(null);
  // the first try may have been executed, and have changed what is seen: the same request again only tells what came of it
  const sent = useRef("");
  const request = JSON.stringify([props.action, props.body, reason]);
  const another = Boolean(props.emergency && sent.current && sent.current !== request);
  const again = !another && error instanceof ApiFailure && (error.status === 0 || error.code === "STACK_SILENT");
  useEffect(() => setError(null), [props.action]);
  const blocked = !link.fresh && !props.emergency ? "What is shown is old: actions wait until the connection is back." : again ? "" : (props.changed ?? "");

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (busy || !props.body) return;
    setSending(props.action);
    setError(null);
    if (another) id.current = requestId();
    sent.current = request;
    const mine = id.current;
    try {
      const taken = await post<ActionTaken>(`/api/actions/${props.action}`, {
        ...props.body,
        request_id: mine,
        ...(props.noReason ? {} : { reason }),
      });
      toast(taken.by_kill_file ? "care" : "good", taken.text);
      if (mine !== id.current) return;
      setSending("");
      (props.onTaken ?? props.onClose)(taken);
    } catch (failure) {
      if (mine !== id.current) return toast("bad", `${props.button}: ${failure instanceof Error ? failure.message : String(failure)}`);
      setError(failure);
      setSending("");
      // refused for certain: another try is a new request. No answer, or none of the stack: the same request again
      if (failure instanceof ApiFailure && failure.status >= 400 && failure.status < 500 && failure.code !== "CONFIRM_NEEDED") id.current = requestId();
    }
  }

  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form onSubmit={submit}>
        {props.children}
        {!props.noReason && (
          <Field label={props.reasonNeeded ? "Reason (goes into the journal)" : "Reason (optional, goes into the journal)"}>
            <input value={reason} maxLength={500} required={props.reasonNeeded} onChange={(event) => setReason(event.target.value)} />
          </Field>
        )}
        {blocked && <div className="note care">{blocked}</div>}
        <ErrorNote error={error} />
        <footer>
          <span className="muted small grow">as {user?.name ?? "—"}</span>
          <button type="button" onClick={(event) => event.currentTarget.closest("dialog")?.close()}>
            Cancel
          </button>
          <button type="submit" className={props.danger ? "danger" : "primary"} disabled={busy || !props.body || Boolean(blocked)} data-focus={props.emergency || undefined}>
            {busy ? "Sending…" : again ? `${props.button} (same request again)` : props.button}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
