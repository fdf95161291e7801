import { expect, test } from "vitest";
import type { AccountRow, AccountSetup } from "../generated/api";
import { accountEntries, namesOf } from "./account_entries";

const row = (account: string, role: string, level = "normal"): AccountRow => ({ account, role, level, broker: "zerodha" }) as AccountRow;
const kept = (id: string, role: string): AccountSetup => ({ id, role, broker: "dhan", host: "", ws_url: "", product: "MIS" });

test("accounts stand once each, the primary first, those that take no entries say why, names in vain are marked", () => {
  const running = [row("spare", "backup"), row("second", "trading", "HALTED"), row("main", "primary")];
  const made = accountEntries(["main", "gone"], ["gone", "old"], running, [kept("main", "primary"), kept("later", "trading")], true);
  expect(made.map((one) => one.name)).toEqual(["main", "later", "second", "spare", "gone", "old"]);
  expect(made.map((one) => one.idle)).toEqual(["", "", "halted", "backup: takes no orders", "", ""]);
  expect(made.filter((one) => one.chosen).map((one) => one.name)).toEqual(["main", "gone"]);
  expect(made.filter((one) => one.unknown).map((one) => one.name)).toEqual(["gone", "old"]);
  expect(made[1]?.about).toContain("from the next start on");
  expect(accountEntries(["gone"], [], [], [], false)[0]?.unknown).toBe(false);
  expect(namesOf("a, b  a")).toEqual(["a", "b"]);
});
