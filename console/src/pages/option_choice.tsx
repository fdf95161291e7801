/** The choice of an underlying and one of its expiries, for pages of options. */
import { type ReactNode, useState } from "react";
import { useAnswer } from "../api/hooks";
import type { UnderlyingRow } from "../generated/api";
import { day } from "../ui/format";
import { expiryDates } from "./expiries";

export interface OptionChoice {
  /** The underlying with its expiries, null until they are known. */
  row: UnderlyingRow | null;
  rows: readonly UnderlyingRow[];
  expiry: string;
  loaded: boolean;
  error: Error | null;
  choose: (underlying: string, expiry?: string) => void;
  /** The two fields. */
  fields: ReactNode;
}

const USUAL = "NIFTY";

export function useOptionChoice(first = "", firstExpiry = ""): OptionChoice {
  const answer = useAnswer<UnderlyingRow[]>("/api/underlyings");
  const [underlying, setUnderlying] = useState(first);
  const [chosenExpiry, setChosenExpiry] = useState(firstExpiry);
  const rows = answer.data ?? [];
  const row = rows.find((one) => one.underlying === (underlying || USUAL)) ?? (underlying ? null : rows[0]) ?? null;
  const date = expiryDates(row?.expiries ?? [])[chosenExpiry] ?? chosenExpiry; // a date, or a word of a file
  const expiry = (row?.expiries.includes(date) ? date : row?.expiries[0]) ?? "";
  const choose = (name: string, date = "") => {
    setUnderlying(name);
    setChosenExpiry(date);
  };
  const fields = (
    <>
      <select aria-label="Underlying" value={row?.underlying ?? ""} onChange={(event) => choose(event.target.value)}>
        {!row && <option value="">{underlying}</option>}
        {rows.map((one) => <option key={one.underlying}>{one.underlying}</option>)}
      </select>
      <select aria-label="Expiry" value={expiry} onChange={(event) => setChosenExpiry(event.target.value)}>
        {row?.expiries.map((one) => <option key={one} value={one}>{day(one)}</option>)}
      </select>
    </>
  );
  return { row, rows, expiry, loaded: answer.data !== null, error: answer.error, choose, fields };
}
