/** Name of an instrument in a table: in two lines on a phone, with what it is of below. */
import { symbol, symbolParts } from "./format";

/** `below` stands in a second line, on a phone alone if it is `spare`: a column of its own has it elsewhere. */
export function InstrumentName(props: { instrument: string; title?: string; below?: string; spare?: boolean }) {
  return (
    <span className="instrument" title={props.title ?? props.instrument}>
      {symbolParts(symbol(props.instrument)).map((part, at) => <span key={part}>{at > 0 && <wbr />}{part}</span>)}
      {props.below && <span className={`below-it muted small ${props.spare ? "only-narrow" : ""}`}>{props.below}</span>}
    </span>
  );
}
