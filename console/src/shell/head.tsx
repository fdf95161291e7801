/** The head of every page: mode, market clock, session, feed age, trading level, halt. */
import { useState } from "react";
import { post } from "../api/client";
import { currentSession, setSession, useSession } from "../api/session";
import { useLink, useStack } from "../live/hooks";
import { ist, span } from "../ui/format";
import { Profit } from "../ui/parts";
import { toast } from "../ui/toast";
import type { EmergencyKind } from "./emergency";
import { applyTheme, type Theme, theme } from "./theme";

interface Props {
  mode: string;
  menu: boolean;
  onMenu: () => void;
  /** Null for a viewer, who may not halt. */
  onEmergency: ((kind: EmergencyKind) => void) | null;
}

export function Head(props: Props) {
  const stack = useStack();
  const link = useLink();
  const user = useSession()?.user;
  const at = ist(link.beat?.market_ms);
  const level = stack?.kill ? "KILL" : (stack?.level ?? "");
  const late = stack !== null && (stack.feed_age_s === null || stack.feed_age_s > 3);
  return (
    <header className="head">
      <button type="button" className="menu-button" aria-expanded={props.menu} aria-controls="pages" onClick={props.onMenu} aria-label="Pages">
        ☰
      </button>
      <span className="mode">{props.mode.replace("_", " ").toUpperCase()}</span>
      <div className="facts">
        <span className="fact" title={at ? `${at.day} ${at.date}, time of the market in India` : "time of the market"}>
          <span>{at ? `${at.day} ${at.date.slice(0, -5)}` : "market"}</span>
          <span className="strong">{at?.time ?? "—"}</span>
          {link.beat && link.beat.speed > 1 && <span className="muted">×{link.beat.speed}</span>}
        </span>
        {stack && (
          <>
            <span className="fact wide">
              <span>session</span>
              <span>
                {stack.session}
                {stack.session_text && <span className="muted"> {stack.session_text}</span>}
              </span>
            </span>
            {stack.expiry_today.length > 0 && <span className="fact extra warn">expiry {stack.expiry_today.join(", ")}</span>}
            <span className="fact extra" title="Since the newest sign of life of the feed; instruments with a fresh price">
              <span>feed</span>
              <span className={late ? "warn" : ""}>{stack.feed_age_s === null ? "—" : span(stack.feed_age_s)}</span>
              <span className={stack.fresh < stack.expected ? "warn" : "muted"}>
                {stack.fresh}/{stack.expected}
              </span>
            </span>
            <span className="fact wide">
              <span>P&L today</span>
              <Profit value={stack.realised + stack.unrealised} decimals={0} className="strong" />
            </span>
          </>
        )}
      </div>
      {stack && level !== "normal" && (
        <button type="button" className="level danger" title={stack.kill || `${stack.level_reason} ${stack.level_by}`} onClick={() => props.onEmergency?.("Resume")} disabled={!props.onEmergency}>
          {level === "halt" ? "HALTED" : level === "reduce" ? "REDUCE ONLY" : level}
        </button>
      )}
      {props.onEmergency && (
        <button type="button" className="danger" onClick={() => props.onEmergency?.("Halt")} aria-keyshortcuts="Alt+Shift+H" title="Halt, reduce, flatten, kill, resume (Alt+Shift+H)">
          HALT
        </button>
      )}
      <UserMenu name={user?.name ?? ""} role={user?.role ?? ""} />
    </header>
  );
}

function UserMenu(props: { name: string; role: string }) {
  const [choice, setChoice] = useState<Theme>(theme());
  async function leave() {
    try {
      await post("/api/logout");
    } catch (error) {
      toast("bad", `The logout did not arrive: ${error instanceof Error ? error.message : ""}`);
      return;
    }
    const session = currentSession();
    if (session) setSession({ ...session, user: null, csrf: "" });
  }
  return (
    <details className="user">
      <summary aria-label={`Menu of ${props.name}`}>{props.name.slice(0, 1).toUpperCase() || "?"}</summary>
      <div className="card">
        <div>
          <strong>{props.name}</strong> <span className="muted">{props.role}</span>
        </div>
        <label className="field">
          Colours
          <select
            value={choice}
            onChange={(event) => {
              setChoice(event.target.value as Theme);
              applyTheme(event.target.value as Theme);
            }}
          >
            <option value="system">as the system</option>
            <option value="light">light</option>
            <option value="dark">dark</option>
          </select>
        </label>
        <a href="#/me">My account, password, sessions</a>
        <button type="button" onClick={leave}>
          Log out
        </button>
      </div>
    </details>
  );
}
