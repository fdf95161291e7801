import { expect, test } from "vitest";
import { parseNumber, readNumber, timeProblem, windowProblem } from "./typed";

test("only digits, a sign and a point are a number", () => {
  expect(["7", " -2.5 ", ".5", "3.", "+1"].map(parseNumber)).toEqual([7, -2.5, 0.5, 3, 1]);
  expect(["", " ", "abc", "1e3", "0x10", "1,000", "--1", "NaN", "Infinity", "1 2"].map(parseNumber)).toEqual(Array(10).fill(null));
});

test("a wrong number is none, and says what is expected, what was found and what to do", () => {
  const days = { whole: true, least: 1, most: 5000 };
  expect(readNumber("60", days)).toEqual({ value: 60, problem: "" });
  const told = ["0", "-3", "5001", "2.5", "abc", ""].map((text) => readNumber(text, days));
  expect(told.map((one) => one.value)).toEqual(Array(6).fill(null));
  expect(told.map((one) => one.problem.replace("expected a whole number from 1 to 5000, ", ""))).toEqual([
    "found 0: type 1 or more", "found -3: type 1 or more", "found 5001: type 5000 or less", "found 2.5: type 2 or 3", "found abc: type digits only", "found nothing: type one",
  ]);
  expect(readNumber("10,00,000", { least: 0 }).problem).toBe("expected a number of 0 or more, found 10,00,000: type 1000000");
  expect(readNumber("9,9", { above: 0 }).problem).toBe("expected a number above 0, found 9,9: type digits, with a point before decimals");
  expect(readNumber("0", { above: 0, below: 1 }).problem).toBe("expected a number above 0 and below 1, found 0: type more than 0");
  expect(readNumber("1", { above: 0, below: 1 }).problem).toContain("type less than 1");
});

test("an empty field counts as something only where its rule says so", () => {
  expect(readNumber(" ", { least: 0, empty: 0 })).toEqual({ value: 0, problem: "" });
  expect(readNumber("", { least: 0 })).toEqual({ value: null, problem: "expected a number of 0 or more, found nothing: type one" });
});

test("times are of 24 hours, with two digits each", () => {
  expect(["", "09:20", "15:10", "00:00", "23:59:30"].map(timeProblem)).toEqual(Array(5).fill(""));
  for (const text of ["9:20", "24:00", "15:60", "3:10 PM", "1510", "half past"]) expect(timeProblem(text)).toContain(`found ${text}`);
  expect(["", "09:20-15:00", "09:20 - 15:00"].map(windowProblem)).toEqual(Array(3).fill(""));
  for (const text of ["09:20", "15:00-09:20", "09:20-15:00-16:00", "9-15"]) expect(windowProblem(text)).toContain(`found ${text}`);
});
