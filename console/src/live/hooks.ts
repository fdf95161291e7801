/** Live data for components: `useTopic("orders")` is the typed rows, `useLink()` whether they are fresh. */
import { useCallback, useMemo, useSyncExternalStore } from "react";
import type { ChainHead, ChainLine, Topics } from "../generated/api";
import { expireSession } from "../api/session";
import { Connection, type Link } from "./connection";

declare const __BUILD__: string;

export const BUILD: string = __BUILD__;

export const connection = new Connection(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`, BUILD, expireSession);

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

/** Lines and head of one option chain, while the component is shown. */
export function useChain(underlying: string, expiry: string): { lines: Rows<ChainLine>; head: ChainHead | null } {
  const lines = useNamed<ChainLine>(`chain:${underlying}:${expiry}`);
  const head = useNamed<ChainHead>(`chainhead:${underlying}:${expiry}`);
  return { lines, head: head.rows[0] ?? null };
}

export function useLink(): Link {
  return useSyncExternalStore(connection.watchLink, connection.link);
}
