import { expect, test } from "vitest";
import { alignedCurves } from "./equity";

test("curves of other days stand on the times of all, each from its own beginning to its own end", () => {
  const [times, lines] = alignedCurves([{ x: [1, 3], y: [100, 130] }, { x: [2, 3, 4], y: [50, null, 40] }]);
  expect(times).toEqual([1, 2, 3, 4]);
  expect(lines).toEqual([[0, 0, 30, null], [null, 0, 0, -10]]);
});
