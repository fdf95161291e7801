/** Holds a page that has something unsaved: links, Back and another address are asked about first, closing the tab warns. */
import { useEffect, useRef, useState } from "react";
import { navigate } from "wouter/use-hash-location";

export interface Leaving {
  /** What waits for the answer; null while nothing does. */
  waits: boolean;
  /** Does this at once, or asks first if something is unsaved. */
  ask: (go: () => void) => void;
  /** What waited is done. */
  go: () => void;
  /** What waited is given up. */
  stay: () => void;
}

let asks: ((go: () => void) => void) | null = null;

/** Does what drops the page, after its question if something on it is unsaved. */
export const askToLeave = (go: () => void): void => (asks ?? ((now) => now()))(go);

export function useLeaving(unsaved: boolean): Leaving {
  const [waiting, setWaiting] = useState<(() => void) | null>(null);
  const left = useRef(false);
  useEffect(() => {
    if (!unsaved) return;
    left.current = false;
    const here = location.href;
    const hold = (event: Event): void => {
      if (left.current || location.hash === new URL(here).hash) return;
      event.stopImmediatePropagation(); // the router shows the page that it was at
      const to = `${location.hash}${location.search}`;
      history.pushState(null, "", here);
      setWaiting(() => () => {
        left.current = true;
        navigate(to);
      });
    };
    const warn = (event: Event): void => event.preventDefault();
    for (const name of ["popstate", "hashchange"]) addEventListener(name, hold, true);
    addEventListener("beforeunload", warn);
    asks = (go) => setWaiting(() => go);
    return () => {
      asks = null;
      for (const name of ["popstate", "hashchange"]) removeEventListener(name, hold, true);
      removeEventListener("beforeunload", warn);
    };
  }, [unsaved]);
  return {
    waits: waiting !== null,
    ask: (go) => (unsaved ? setWaiting(() => go) : go()),
    go: () => {
      setWaiting(null);
      waiting?.();
    },
    stay: () => setWaiting(null),
  };
}
