/** Chooses one day of rows that come from several; nothing where all are of one. */
import { ist } from "./format";

/** The day of a row in India, by which `DayChoice` chooses. */
export const dayOf = (ms: number | null): string => ist(ms)?.date ?? "";

export function DayChoice(props: { days: readonly string[]; value: string; onChange: (day: string) => void }) {
  if (props.days.length < 2 && !props.value) return null;
  return (
    <select aria-label="Day" value={props.value} onChange={(event) => props.onChange(event.target.value)}>
      <option value="">all days</option>
      {props.days.map((day) => <option key={day}>{day}</option>)}
    </select>
  );
}

/** Rows of the market's day where a list is of several; null where all are of one, and its own counts hold. */
export function rowsOfToday<Row>(rows: readonly Row[], days: readonly string[], marketMs: number | null, atMs: (row: Row) => number | null): readonly Row[] | null {
  return days.length < 2 ? null : rows.filter((row) => dayOf(atMs(row)) === dayOf(marketMs));
}
