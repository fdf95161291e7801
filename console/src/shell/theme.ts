/** Light or dark: the system's choice unless the viewer chose; charts ask here for the colours in force. */

export type Theme = "system" | "light" | "dark";

const KEY = "mytrading.theme";
const listeners = new Set<() => void>();

export function theme(): Theme {
  const found = localStorage.getItem(KEY);
  return found === "light" || found === "dark" ? found : "system";
}

export function applyTheme(choice: Theme = theme()): void {
  if (choice === "system") {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(KEY, choice);
    document.documentElement.dataset.theme = choice;
  }
  for (const listener of listeners) listener();
}

/** Calls back when the colours change; returns the way to stop that. */
export function onTheme(listener: () => void): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", listener);
  listeners.add(listener);
  return () => {
    media.removeEventListener("change", listener);
    listeners.delete(listener);
  };
}

/** The colour of a variable of the theme as rgb(…), for a canvas. */
export function colour(variable: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${variable})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
