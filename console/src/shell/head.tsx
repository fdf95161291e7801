/** The head of every page: mode, market clock, session, feed age, trading level, halt. */
import { useEffect, useRef, useState } from "react";
import { post } from "../api/client";
import { dropPage, useSession } from "../api/session";
import { useLink, useStack } from "../live/hooks";
import { ist, span } from "../ui/format";
import { Profit } from "../ui/parts";
import { toast } from "../ui/toast";
import type { HaltRow } from "../generated/api";
import { haltSummary, haltText, haltTexts } from "./halts";
import { askToLeave } from "./leaving";
import { applyTheme, type Theme, theme } from "./theme";

interface Props {
  mode: string;
  menu: boolean;
  onMenu: () => void;
  halts: readonly HaltRow[];
  onHalts: () => void;
  /** Null for a viewer, who may not halt. */
  onHalt: (() => void) | null;
}

export function Head(props: Props) {
  const user = useSession()?.user;
  const halted = haltSummary(props.halts);
  return (
    <header className="head" ref={useHeight()}>
      <button type="button" className="menu-button" aria-expanded={props.menu} aria-controls="pages" onClick={props.onMenu} aria-label="Pages">
        ☰
      </button>
      <span className="mode">{props.mode.replace("_", " ").toUpperCase()}</span>
      <Facts />
      {halted && (
        <button type="button" className="level danger" title={props.halts.map((row) => `${haltText(row)}: ${row.reason} ${row.by && `by ${row.by}`}`).join("\n")} onClick={props.onHalts}>
          <span className="summary">{halted}</span>
          <span className="each">{haltTexts(props.halts).map((text, at) => <span key={at}>{text}</span>)}</span>
        </button>
      )}
      {props.onHalt && (
        <button type="button" className="danger" onClick={props.onHalt} aria-keyshortcuts="Alt+Shift+H" title="Halt, reduce, flatten, kill, resume (Alt+Shift+H)">
          HALT
        </button>
      )}
      <UserMenu name={user?.name ?? ""} role={user?.role ?? ""} />
    </header>
  );
}

/** Keeps the height of the head in the variable `--head`: what lies below it begins there. */
function useHeight() {
  const element = useRef<HTMLElement>(null);
  useEffect(() => {
    const head = element.current;
    if (!head) return;
    const observer = new ResizeObserver(() => document.documentElement.style.setProperty("--head", `${head.offsetHeight}px`));
    observer.observe(head);
    return () => observer.disconnect();
  }, []);
  return element;
}

/** Market clock, session, expiry, feed and profit: beside each other where there is room, all of them behind the clock. */
function Facts() {
  const stack = useStack();
  const link = useLink();
  const at = ist(link.beat?.market_ms);
  const late = stack !== null && (stack.feed_age_s === null || stack.feed_age_s > 3 || stack.fresh < stack.expected);
  const menu = useClosing();
  const session = stack && (
    <span>
      {stack.session}
      {stack.session_text && <span className="muted"> {stack.session_text}</span>}
    </span>
  );
  const expiry = stack?.expiry_today.join(", ");
  const feed = stack && (
    <>
      <span className={stack.feed_age_s === null || stack.feed_age_s > 3 ? "warn" : ""}>{stack.feed_age_s === null ? "—" : span(stack.feed_age_s)}</span>{" "}
      <span className={stack.fresh < stack.expected ? "warn" : "muted"}>
        {stack.fresh}/{stack.expected}
      </span>
    </>
  );
  const gain = stack && <Profit value={stack.realised + stack.unrealised} decimals={0} className="strong" />;
  return (
    <div className="facts">
      <details className="more" ref={menu}>
        <summary className="fact" title="Time of the market in India; session, expiry, feed">
          <span>{at ? `${at.day} ${at.date.slice(0, -5)}` : "market"}</span>
          <span className="strong">{at?.time ?? "—"}</span>
          {link.beat && link.beat.speed > 1 && <span className="muted">×{link.beat.speed}</span>}
          {late && <span className="warn" title="The feed is old, or instruments have no fresh price">⚠</span>}
          <span className="hidden">session, expiry, feed</span>
        </summary>
        {stack && (
          <dl className="card">
            <dt>Market</dt>
            <dd>{at ? `${at.day} ${at.date} ${at.time}` : "—"}{link.beat && link.beat.speed > 1 && ` ×${link.beat.speed}`}</dd>
            <dt>Session</dt>
            <dd>{session}</dd>
            <dt>Expiry today</dt>
            <dd>{expiry || "none"}</dd>
            <dt>Feed</dt>
            <dd>{feed} fresh</dd>
            <dt>P&L today</dt>
            <dd>{gain}</dd>
          </dl>
        )}
      </details>
      {stack && (
        <>
          <span className="fact wide">
            <span>session</span>
            {session}
          </span>
          {expiry && <span className="fact extra warn">expiry {expiry}</span>}
          <span className="fact extra" title="Since the newest sign of life of the feed; instruments with a fresh price">
            <span>feed</span>
            <span>{feed}</span>
          </span>
          <span className="fact wide">
            <span>P&L today</span>
            {gain}
          </span>
        </>
      )}
    </div>
  );
}

/** Closes an open `details` with a press elsewhere and with Escape. */
function useClosing() {
  const element = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const end = (event: Event) => {
      const details = element.current;
      if (!details?.open || (event instanceof KeyboardEvent ? event.key !== "Escape" : details.contains(event.target as Node))) return;
      details.open = false;
    };
    addEventListener("pointerdown", end);
    addEventListener("keydown", end);
    return () => {
      removeEventListener("pointerdown", end);
      removeEventListener("keydown", end);
    };
  }, []);
  return element;
}

function UserMenu(props: { name: string; role: string }) {
  const [choice, setChoice] = useState<Theme>(theme());
  const menu = useClosing();
  async function leave() {
    try {
      await post("/api/logout");
    } catch (error) {
      toast("bad", `The logout did not arrive: ${error instanceof Error ? error.message : ""}`);
      return;
    }
    dropPage();
  }
  return (
    <details className="user" ref={menu}>
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
        <button type="button" onClick={() => askToLeave(() => void leave())}>
          Log out
        </button>
      </div>
    </details>
  );
}
