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
