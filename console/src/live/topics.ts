/**
 * Topics of the live connection as pages see them: a snapshot, then deltas that change cells of rows by key.
 *
 * Pure. A row that did not change keeps its identity, so that tables draw only what changed.
 */
import type { LiveDelta, LiveSnapshot } from "../generated/api";

export type Row = Readonly<Record<string, unknown>>;

export interface Topic {
  /** -1 until there is a snapshot. */
  readonly version: number;
  readonly byKey: ReadonlyMap<string, Row>;
  readonly rows: readonly Row[];
}

export const NOTHING: Topic = { version: -1, byKey: new Map(), rows: [] };

export function fromSnapshot(message: Pick<LiveSnapshot, "version" | "rows">): Topic {
  const byKey = new Map(Object.entries(message.rows as Record<string, Row>));
  return { version: message.version, byKey, rows: [...byKey.values()] };
}

/** The topic after a delta; null if it does not follow on this version: then a new snapshot is needed. */
export function withDelta(topic: Topic, message: LiveDelta): Topic | null {
  if (topic.version < 0 || topic.version !== message.previous) return null;
  const byKey = new Map(topic.byKey);
  for (const key of message.gone) byKey.delete(key);
  for (const [key, cells] of Object.entries(message.set)) byKey.set(key, { ...byKey.get(key), ...cells });
  return { version: message.version, byKey, rows: [...byKey.values()] };
}
