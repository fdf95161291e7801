/**
 * The one WebSocket of the page: topics by reference count, beats, gaps, reconnection, nothing in a hidden tab.
 *
 * It only reads. Actions go by POST (`api/client.ts`).
 */
import type { LiveBeat, LiveHello, LiveMessage, LiveRequest } from "../generated/api";
import { setMarketTime } from "../ui/format";
import { NOTHING, type Topic, fromSnapshot, withDelta } from "./topics";

const SILENT_MS = 3000;
/** A connection that is silent for so long is given up: one of another network may stay open for minutes, and say nothing. */
const LOST_MS = 8000;
const ALIVE_MS = 30_000;
const LOGIN_NEEDED = 4401;

export interface Link {
  /** True while beats come and the stack answers: what is shown is what is. */
  readonly fresh: boolean;
  /** Why not, for people; empty while fresh. */
  readonly problem: string;
  /** The server runs another version of the console: this page must be loaded again. */
  readonly reload: boolean;
  readonly beat: LiveBeat | null;
  readonly hello: LiveHello | null;
}

const START: Link = { fresh: false, problem: "connecting", reload: false, beat: null, hello: null };

/** The topic of a chain that is not to be had: no lines, and a head that says why. */
function refused(topic: string, problem: string): Topic {
  const [kind, underlying = "", expiry = ""] = topic.split(":");
  const head = { underlying, expiry, expiries: [], futures: [], spot_instrument: "", spot: null, forward: null, atm_iv: null, days: 0, missing: 0, problem };
  return fromSnapshot({ version: 0, rows: kind === "chainhead" ? { "": head } : {} });
}

export class Connection {
  #socket: WebSocket | null = null;
  #topics = new Map<string, Topic>();
  #watchers = new Map<string, Set<() => void>>();
  #linkWatchers = new Set<() => void>();
  #link = START;
  #heardMs = 0;
  #triedMs = 0;
  #attempts = 0;
  #sent = "";
  #wakeUp: ReturnType<typeof setTimeout> | undefined;
  #timers: ReturnType<typeof setInterval>[] = [];
  #running = false;

  constructor(
    private readonly url: string,
    private readonly build: string,
    private readonly onLoginNeeded: () => void,
    /** No connection came about: the console is gone, or it refuses this session, which a socket is not told. */
    private readonly onRefused: () => void,
  ) {}

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
    this.#timers = [
      setInterval(() => this.#judge(), 500),
      setInterval(() => this.#alive(), ALIVE_MS),
    ];
    document.addEventListener("visibilitychange", this.#onVisibility);
  }

  stop(): void {
    this.#running = false;
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#wakeUp);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#socket?.close();
    this.#socket = null;
    this.#topics.clear();
    this.#setLink(START);
  }

  /** Connects anew under the session of now, whatever became of the socket before: a dead one takes minutes to close. */
  renew(): void {
    if (!this.#running) return;
    const before = this.#socket;
    this.#socket = null;
    before?.close();
    clearTimeout(this.#wakeUp);
    this.#attempts = 0;
    this.#connect();
  }

  /** True if the console was there and its socket has closed: what is asked of it now would fail. */
  get isLost(): boolean {
    return this.#link.hello !== null && this.#socket?.readyState !== WebSocket.OPEN;
  }

  /** Keeps a topic watched until the returned function is called. */
  watch(name: string, listener: () => void): () => void {
    let watchers = this.#watchers.get(name);
    if (!watchers) {
      watchers = new Set();
      this.#watchers.set(name, watchers);
    }
    watchers.add(listener);
    queueMicrotask(() => this.#sendWatch());
    return () => {
      watchers.delete(listener);
      // the next page may want the same topic: ask the server only once both have said so
      setTimeout(() => {
        if (watchers.size || this.#watchers.get(name) !== watchers) return;
        this.#watchers.delete(name);
        this.#topics.delete(name);
        this.#sendWatch();
      }, 50);
    };
  }

  topic(name: string): Topic {
    return this.#topics.get(name) ?? NOTHING;
  }

  watchLink = (listener: () => void): (() => void) => {
    this.#linkWatchers.add(listener);
    return () => this.#linkWatchers.delete(listener);
  };

  link = (): Link => this.#link;

  #connect(): void {
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#triedMs = performance.now();
    this.#sent = "";
    let opened = false;
    socket.onopen = () => {
      opened = true;
    };
    socket.onmessage = (event) => this.#take(JSON.parse(String(event.data)) as LiveMessage);
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (!this.#running) return;
      if (event.code === LOGIN_NEEDED) {
        this.#setLink({ ...this.#link, fresh: false, problem: "the session has ended" });
        this.onLoginNeeded();
        return;
      }
      this.#setLink({ ...this.#link, fresh: false, problem: event.reason || "the console does not answer; connecting again" });
      if (!opened) this.onRefused();
      const waitMs = Math.min(500 * 2 ** this.#attempts++, 10_000);
      this.#wakeUp = setTimeout(() => this.#connect(), waitMs);
    };
  }

  #take(message: LiveMessage): void {
    switch (message.type) {
      case "hello":
        this.#attempts = 0;
        this.#setLink({
          ...this.#link,
          hello: message,
          reload: message.build !== this.build && message.build !== "dev" && this.build !== "dev",
        });
        this.#sendWatch();
        return;
      case "beat":
        // after a sleep the server may have taken this page for gone, and given its chain back
        if (performance.now() - this.#heardMs > SILENT_MS) this.#alive();
        this.#heardMs = performance.now();
        setMarketTime(message.market_ms);
        this.#setLink({
          ...this.#link,
          beat: message,
          fresh: message.stack,
          problem: message.stack ? "" : message.problem || "the stack does not answer",
        });
        return;
      case "snapshot":
        this.#set(message.topic, fromSnapshot(message));
        return;
      case "delta": {
        const topic = withDelta(this.topic(message.topic), message);
        if (topic) this.#set(message.topic, topic);
        else if (this.#watchers.has(message.topic)) this.#send({ type: "again", topic: message.topic });
        return;
      }
      case "refused":
        // of a chain the page says it where the chain would be
        if (message.topic.startsWith("chain")) this.#set(message.topic, refused(message.topic, message.error));
        else console.warn(`live: ${message.topic}: ${message.error}`);
    }
  }

  #set(name: string, topic: Topic): void {
    const watchers = this.#watchers.get(name);
    if (!watchers) return;
    this.#topics.set(name, topic);
    for (const listener of watchers) listener();
  }

  #setLink(link: Link): void {
    this.#link = link;
    for (const listener of this.#linkWatchers) listener();
  }

  #judge(): void {
    if (document.hidden) return;
    const now = performance.now();
    if (this.#link.fresh && now - this.#heardMs > SILENT_MS) {
      this.#setLink({ ...this.#link, fresh: false, problem: "no sign of life from the console for 3 s" });
    }
    if (this.#socket && now - Math.max(this.#heardMs, this.#triedMs) > LOST_MS) this.renew();
  }

  #send(message: LiveRequest): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #sendWatch(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const topics = document.hidden ? [] : [...this.#watchers.keys()].sort();
    const text = topics.join(" ");
    if (text === this.#sent) return;
    this.#sent = text;
    this.#send({ type: "watch", topics });
  }

  #alive(): void {
    if (!document.hidden) this.#send({ type: "alive" });
  }

  #onVisibility = (): void => {
    this.#sendWatch();
    // a closed lid ends sockets without a word: start anew at once instead of waiting for a time-out
    if (!document.hidden && this.#socket && performance.now() - this.#heardMs > SILENT_MS) this.renew();
  };
}
