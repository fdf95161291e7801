/** Short notes at the corner: what was taken, done or refused. A refusal stays until it is closed. */
import { useSyncExternalStore } from "react";

type Tone = "good" | "care" | "bad";
interface Toast {
  id: number;
  tone: Tone;
  text: string;
  /** When it was said: what stays may have ended since. */
  at: string;
}

let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(now: readonly Toast[]): void {
  toasts = now;
  for (const listener of listeners) listener();
}

/** Shows a note. Good ones go away after six seconds. */
export function toast(tone: Tone, text: string): void {
  const id = next++;
  set([...toasts.slice(-4), { id, tone, text, at: new Date().toTimeString().slice(0, 5) }]);
  if (tone === "good") setTimeout(() => set(toasts.filter((one) => one.id !== id)), 6000);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((one) => (
        <div key={one.id} className={one.tone}>
          <span>
            {one.text} {one.tone !== "good" && <span className="small">(at {one.at} by this computer's clock)</span>}
          </span>
          <button type="button" className="quiet small" aria-label="Dismiss the note" onClick={() => set(toasts.filter((t) => t.id !== one.id))}>
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
