import { expect, test } from "vitest";
import { rowsOfToday } from "./days";

test("of a list of several days the rows of the market's day count, the day being that of India", () => {
  const [evening, night, noon] = [Date.UTC(2026, 10, 23, 10), Date.UTC(2026, 10, 23, 19), Date.UTC(2026, 10, 24, 6)];
  const rows = [evening, night, noon];
  expect(rowsOfToday(rows, ["2026-11-24", "2026-11-23"], noon, (row) => row)).toEqual([night, noon]);
  expect(rowsOfToday(rows, ["2026-11-24"], noon, (row) => row)).toBeNull();
});
