/** Chooses one day of rows that come from several; nothing where all are of one. */
import { ist } from "./format";

/** The day of a row in India, by which `DayChoice` chooses. */
export const dayOf = (ms: number | null): string => ist(ms)?.date ?? "";

export function DayChoice(props: { times: readonly (number | null)[]; value: string; onChange: (day: string) => void }) {
  const newest = [...props.times].sort((a, b) => (b ?? 0) - (a ?? 0));
  const days = [...new Set(newest.map(dayOf).filter(Boolean))];
  if (days.length < 2 && !props.value) return null;
  return (
    <select aria-label="Day" value={props.value} onChange={(event) => props.onChange(event.target.value)}>
      <option value="">all days</option>
      {days.map((day) => <option key={day}>{day}</option>)}
    </select>
  );
}
