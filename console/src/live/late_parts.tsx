/**
 * Parts of the page that are loaded when they are first shown: pages and charts, also while the console does not answer.
 *
 * Some browsers remember a file of a script that they could not load, until the page is loaded again. So none is asked
 * for while the console is known to be gone. Where one fails all the same the whole page is loaded again, once the
 * console answers: at once where the part is a page, of which nothing was there yet, and no dialog is open, else by a button.
 */
import { type ComponentType, lazy } from "react";
import { connection } from "./hooks";

type Loaded<Part extends ComponentType<any>> = { default: Part };

const POLL_MS = 1000;
const KEY = "mytrading-reloaded-ms";
const ONCE_MS = 60_000;

/** Resolves once the console answers. */
async function consoleAnswers(): Promise<void> {
  for (;;) {
    try {
      if ((await fetch("/livez", { cache: "no-store", signal: AbortSignal.timeout(5000) })).ok) return;
    } catch {
      // it does not yet
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Loads the page again, but not over and over, and not under a person who is halting. False if it does not. */
function reloadOnce(): boolean {
  const before = Number(sessionStorage.getItem(KEY));
  if (Date.now() - before < ONCE_MS || document.querySelector("dialog[open]")) return false;
  sessionStorage.setItem(KEY, String(Date.now()));
  location.reload();
  return true;
}

async function loadedLate<Part extends ComponentType<any>>(load: () => Promise<Loaded<Part>>, isPage: boolean): Promise<Loaded<Part>> {
  if (connection.isLost) await consoleAnswers();
  try {
    return await load();
  } catch {
    await consoleAnswers();
  }
  try {
    return await load();
  } catch {
    if (isPage && reloadOnce()) return new Promise(() => undefined);
    return { default: Unloaded as unknown as Part };
  }
}

function Unloaded() {
  return (
    <div className="note bad" role="alert">
      This part of the page could not be loaded: the console did not answer then. What is on the page works; load it again for this part.{" "}
      <button type="button" className="small" onClick={() => location.reload()}>
        Load the page again
      </button>
    </div>
  );
}

/** A page of the console, loaded when it is first shown. */
export const latePage = (load: () => Promise<Loaded<ComponentType>>): ComponentType => lazy(() => loadedLate(load, true));

/** A chart or the like, loaded when it is first shown. */
export const latePart = <Part extends ComponentType<any>>(load: () => Promise<Loaded<Part>>) => lazy(() => loadedLate(load, false));
