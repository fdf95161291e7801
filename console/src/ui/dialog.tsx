/** The native modal dialog: Escape and the close button end it, focus goes back to where it was. It waits behind a login. */
import { type ReactNode, useEffect, useId, useRef } from "react";
import { hasEnded, useEnded } from "../api/session";

export function Dialog(props: { title: string; onClose: () => void; broad?: boolean; children: ReactNode }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  const away = useEnded() !== null;
  useEffect(() => {
    const dialog = element.current;
    if (!dialog || dialog.open || away) return;
    dialog.showModal();
    const first = dialog.querySelector<HTMLElement>("[data-focus]") ?? dialog.querySelector<HTMLElement>("form :is(input, select, textarea, button)");
    first?.focus();
  }, [away]);
  useEffect(() => {
    const dialog = element.current;
    return () => dialog?.close(); // gives the focus back
  }, []);
  return (
    <dialog ref={element} className={props.broad ? "broad" : undefined} aria-labelledby={id} onClose={() => hasEnded() || props.onClose()}>
      <header>
        <h2 id={id}>{props.title}</h2>
        <button type="button" className="quiet" onClick={() => element.current?.close()} aria-label="Close the dialog">
          ✕
        </button>
      </header>
      {props.children}
    </dialog>
  );
}
