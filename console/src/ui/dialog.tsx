/** The native modal dialog: Escape and the close button end it, focus goes back to where it was. */
import { type ReactNode, useEffect, useId, useRef } from "react";

export function Dialog(props: { title: string; onClose: () => void; broad?: boolean; children: ReactNode }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    if (!dialog || dialog.open) return;
    dialog.showModal();
    const first = dialog.querySelector<HTMLElement>("[data-focus]") ?? dialog.querySelector<HTMLElement>("form :is(input, select, textarea, button)");
    first?.focus();
    return () => dialog.close(); // gives the focus back
  }, []);
  return (
    <dialog ref={element} className={props.broad ? "broad" : undefined} aria-labelledby={id} onClose={props.onClose}>
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
