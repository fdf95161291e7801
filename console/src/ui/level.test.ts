import { expect, test } from "vitest";
import { distanceText, distanceTo } from "./level";

test("a stop below a holding and above a sold one have room while the price is on the safe side", () => {
  expect(distanceTo("stop", 90, 100, 75)).toBe(10);
  expect(distanceTo("stop", 110, 100, -75)).toBe(10);
  expect(distanceTo("stop", 110, 100, 75)).toBe(-10);
  expect(distanceTo("target", 120, 100, 75)).toBe(20);
  expect(distanceTo("target", 80, 100, -75)).toBe(20);
  expect(distanceTo("stop", 90, null, 75)).toBeNull();
  expect(distanceTo("stop", 90, 100, 0)).toBeNull();
});

test("a level that the price went beyond says so, with points and share", () => {
  expect(distanceText("stop", 12.5, 100)).toBe("12.50 (12.5 %) away");
  expect(distanceText("stop", -3.2, 160)).toBe("breached by 3.20 (2.0 %)");
  expect(distanceText("target", -1, 100)).toBe("reached, past by 1.00 (1.0 %)");
  expect(distanceText("target", null, 100)).toBe("");
});
