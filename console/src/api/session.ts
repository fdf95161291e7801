/**
 * Who is logged in. The token itself is in a cookie that scripts cannot read; here is only what the page shows.
 *
 * A page is its user's. When the session ends it stays as it is, with all that was typed on it, out of sight behind the
 * login, until the same user is back, or another one takes the tab.
 */
import { useSyncExternalStore } from "react";
import type { SessionInfo } from "../generated/api";

/** The session of the page. */
let session: SessionInfo | null = null;
/** What the server says since the session of the page's user ended: nobody is logged in, or somebody else; else null. */
let ended: SessionInfo | null = null;
const listeners = new Set<() => void>();

function set(page: SessionInfo | null, since: SessionInfo | null): void {
  session = page;
  ended = since;
  for (const listener of listeners) listener();
}

/** Takes what the server says: the page goes on for its user, and waits behind the login for anybody else. */
export function setSession(now: SessionInfo): void {
  const owner = session?.user?.name;
  if (owner && owner !== now.user?.name) set(session, now);
  else set(now, null);
}

const nobody = (of: SessionInfo): SessionInfo => ({ ...of, user: null, csrf: "" });

/** The server ended the session: show the login, nothing else. */
export function expireSession(): void {
  if (session?.user && !ended) set(session, nobody(session));
}

/** The page and what was typed on it are dropped, after a logout or for another user. */
export function dropPage(): void {
  if (session) set(ended ?? nobody(session), null);
}

/** As the server sees it now. */
export const currentSession = (): SessionInfo | null => ended ?? session;

/** True while the page waits for its user to log in again: it asks nothing and shows nothing. */
export const hasEnded = (): boolean => ended !== null;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The session of the page, also while it waits for its user. */
export function useSession(): SessionInfo | null {
  return useSyncExternalStore(subscribe, () => session);
}

/** The session in place of that of the page, null while that lasts. */
export function useEnded(): SessionInfo | null {
  return useSyncExternalStore(subscribe, () => ended);
}

const RANK = { viewer: 0, trader: 1, admin: 2 };

/** True if the user's role is at least this one. The server decides; this only hides what it would refuse. */
export function useRole(least: keyof typeof RANK): boolean {
  const user = useSession()?.user;
  return user ? RANK[user.role] >= RANK[least] : false;
}
