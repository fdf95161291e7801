import { describe, expect, it } from "vitest";
import { isBeforeHole } from "./values";

describe("holes of a curve", () => {
  it("begin after the last value before them, and not after the end", () => {
    const values = [null, 1, 2, null, null, 3, 4];
    expect(values.map((_, at) => isBeforeHole(values, at))).toEqual([false, false, true, false, false, false, false]);
  });
});
