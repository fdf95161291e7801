/** A question to the server as component state, asked again when its address changes or on `again()`. */
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiFailure, get } from "./client";
import { hasEnded, useEnded } from "./session";

export interface Answer<Body> {
  readonly data: Body | null;
  readonly error: Error | null;
  readonly busy: boolean;
  /** When the data came, ms of wall time. */
  readonly atMs: number | null;
  again: () => void;
}

interface State<Body> {
  readonly data: Body | null;
  readonly error: Error | null;
  readonly busy: boolean;
  readonly atMs: number | null;
  readonly path: string | null;
  readonly key: string | null;
}

/** Asks `path` (null: nothing). Old data stay while a newer answer is on its way; `everyMs` repeats it, not when hidden. */
export function useAnswer<Body>(path: string | null, parameters: Record<string, string | number | undefined> = {}, everyMs = 0): Answer<Body> {
  const [state, setState] = useState<State<Body>>({
    data: null, error: null, busy: path !== null, atMs: null, path: null, key: null,
  });
  const [turn, setTurn] = useState(0);
  const key = path === null ? null : `${path} ${JSON.stringify(parameters)}`;
  const asked = useRef(parameters);
  asked.current = parameters;
  // a repeated question waits for its answer: asked again earlier, a slow answer would never be shown
  const waiting = useRef(false);
  useEffect(() => {
    if (key === null || path === null) return;
    let dropped = false;
    const end = (next: (before: State<Body>) => State<Body>) => {
      if (dropped) return;
      waiting.current = false;
      setState(next);
    };
    waiting.current = true;
    setState((before) => ({ ...before, busy: true }));
    get<Body>(path, asked.current).then(
      (data) => end(() => ({ data, error: null, busy: false, atMs: Date.now(), path, key })),
      // what another question was answered is no answer to this one
      (error: Error) => end((before) => ({ ...before, ...(before.key === key ? {} : { data: null, atMs: null }), error, busy: false, path, key })),
    );
    return () => {
      dropped = true;
    };
  }, [key, path, turn]);
  const again = useCallback(() => setTurn((now) => now + 1), []);
  useEffect(() => {
    if (!everyMs || key === null) return;
    const timer = setInterval(() => document.hidden || hasEnded() || waiting.current || again(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, key, again]);
  const away = useEnded() !== null;
  const unasked = state.error instanceof ApiFailure && state.error.code === "LOGIN_NEEDED";
  useEffect(() => {
    if (unasked && !away) again();
  }, [unasked, away, again]);
  const { data, error, busy, atMs } = state;
  return state.path === path ? { data, error, busy, atMs, again } : { data: null, error: null, busy: path !== null, atMs: null, again };
}
