import { expect, test } from "vitest";
import { fromSnapshot, NOTHING, withDelta } from "./topics";

const first = fromSnapshot({ version: 7, rows: { a: { id: "a", price: 1, stop: null }, b: { id: "b", price: 2, stop: 1 } } });
const delta = (previous: number, set: Record<string, Record<string, unknown>>, gone: string[] = []) =>
  ({ type: "delta", topic: "positions", previous, version: previous + 1, set, gone }) as const;

test("a delta changes the cells it names, and only rows it names get a new identity", () => {
  const after = withDelta(first, delta(7, { a: { price: 3 } }));
  expect(after?.byKey.get("a")).toEqual({ id: "a", price: 3, stop: null });
  expect(after?.byKey.get("b")).toBe(first.byKey.get("b"));
  expect(first.byKey.get("a")).toEqual({ id: "a", price: 1, stop: null });
});

test("a cell may become unknown, a row may come and go", () => {
  const after = withDelta(first, delta(7, { b: { stop: null }, c: { id: "c", price: 9, stop: null } }, ["a"]));
  expect(after?.rows).toEqual([{ id: "b", price: 2, stop: null }, { id: "c", price: 9, stop: null }]);
  expect(after?.version).toBe(8);
});

test("a gap, and a delta before any snapshot, ask for a new snapshot", () => {
  expect(withDelta(first, delta(8, { a: { price: 3 } }))).toBeNull();
  expect(withDelta(NOTHING, delta(-1, { a: { price: 3 } }))).toBeNull();
});
