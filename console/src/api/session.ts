/** Who is logged in. The token itself is in a cookie that scripts cannot read; here is only what the page shows. */
import { useSyncExternalStore } from "react";
import type { SessionInfo } from "../generated/api";

let session: SessionInfo | null = null;
const listeners = new Set<() => void>();

export function setSession(now: SessionInfo): void {
  session = now;
  for (const listener of listeners) listener();
}

/** The server ended the session: show the login, nothing else. */
export function expireSession(): void {
  if (session?.user) setSession({ ...session, user: null, csrf: "" });
}

export const currentSession = (): SessionInfo | null => session;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSession(): SessionInfo | null {
  return useSyncExternalStore(subscribe, currentSession);
}

const RANK = { viewer: 0, trader: 1, admin: 2 };

/** True if the user's role is at least this one. The server decides; this only hides what it would refuse. */
export function useRole(least: keyof typeof RANK): boolean {
  const user = useSession()?.user;
  return user ? RANK[user.role] >= RANK[least] : false;
}
