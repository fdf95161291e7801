import { createRoot } from "react-dom/client";
import { App } from "./shell/app";
import { applyTheme } from "./shell/theme";
import "./style.css";

/** A typed address may have its query behind the path of the page: the pages read it before the hash. */
function moveQuery(): void {
  const [path = "", query] = location.hash.split("?");
  if (query) history.replaceState(history.state, "", `?${query}${path}`);
}
moveQuery();
addEventListener("hashchange", moveQuery, true);

applyTheme();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
