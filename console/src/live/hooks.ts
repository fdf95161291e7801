/** Live data for components: `useTopic("orders")` is the typed rows, `useLink()` whether they are fresh. */
import { useCallback, useMemo, useRef, useSyncExternalStore } from "react";
import type { ChainHead, ChainLine, Topics } from "../generated/api";
import { loadSession } from "../api/client";
import { expireSession } from "../api/session";
import { Connection, type Link } from "./connection";
import type { Topic } from "./topics";

declare const __BUILD__: string;

export const BUILD: string = __BUILD__;

const checkSession = (): void => void loadSession().catch(() => undefined);

export const connection = new Connection(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`, BUILD, expireSession, checkSession);

interface Rows<Row> {
  readonly loaded: boolean;
  readonly rows: readonly Row[];
}

function useNamed<Row>(name: string): Rows<Row> {
  const subscribe = useCallback((listener: () => void) => connection.watch(name, listener), [name]);
  const topic = useSyncExternalStore(subscribe, () => connection.topic(name));
  return useMemo(() => ({ loaded: topic.version >= 0, rows: topic.rows as unknown as readonly Row[] }), [topic]);
}

/** Rows of a topic while the component is shown. */
export function useTopic<Name extends keyof Topics>(name: Name): Rows<Topics[Name]> {
  return useNamed<Topics[Name]>(name);
}

/** The one row of `stack`, null until it is known. */
export function useStack(): Topics["stack"] | null {
  return useTopic("stack").rows[0] ?? null;
}

export interface Chain {
  lines: Rows<ChainLine>;
  head: ChainHead | null;
}

/** Lines and head of one option chain, while the component is shown. */
export function useChain(underlying: string, expiry: string): Chain {
  const lines = useNamed<ChainLine>(`chain:${underlying}:${expiry}`);
  const head = useNamed<ChainHead>(`chainhead:${underlying}:${expiry}`);
  return { lines, head: head.rows[0] ?? null };
}

/** Several chains by their names, UNDERLYING:EXPIRY; without an expiry a name is of spot and futures alone. */
export function useChains(wanted: readonly string[]): ReadonlyMap<string, Chain> {
  const key = [...new Set(wanted)].sort().join(" ").trim();
  const names = useMemo(() => key.split(" ").filter(Boolean).flatMap((name) => [`chain:${name}`, `chainhead:${name}`]), [key]);
  const latest = useRef<readonly Topic[]>([]);
  const subscribe = useCallback(
    (listener: () => void) => {
      const ends = names.map((name) => connection.watch(name, listener));
      return () => {
        for (const end of ends) end();
      };
    },
    [names],
  );
  const topics = useSyncExternalStore(subscribe, () => {
    const now = names.map((name) => connection.topic(name));
    if (now.length !== latest.current.length || now.some((topic, at) => topic !== latest.current[at])) latest.current = now;
    return latest.current;
  });
  return useMemo(() => {
    const made = new Map<string, Chain>();
    key.split(" ").filter(Boolean).forEach((name, at) => {
      const [lines, head] = [topics[2 * at], topics[2 * at + 1]];
      made.set(name, { lines: { loaded: (lines?.version ?? -1) >= 0, rows: (lines?.rows ?? []) as unknown as readonly ChainLine[] }, head: (head?.rows[0] as unknown as ChainHead | undefined) ?? null });
    });
    return made;
  }, [key, topics]);
}

export function useLink(): Link {
  return useSyncExternalStore(connection.watchLink, connection.link);
}
