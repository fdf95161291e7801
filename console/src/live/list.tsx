/**
 * Orders, trades and signals on a page: live the first page of the list, by its buttons older ones, or those of a day.
 *
 * The topic holds all rows that have not ended and the newest of the others; the server has the rest.
 */
import { type ReactNode, useMemo, useState } from "react";
import { useAnswer } from "../api/hooks";
import type { ListPage, ListRow, Topics } from "../generated/api";
import { DayChoice, dayOf } from "../ui/days";
import { number } from "../ui/format";
import { ErrorNote } from "../ui/parts";
import { useTopic } from "./hooks";

type ListName = "orders" | "trades" | "signals";

export interface KeptList<Row> {
  readonly rows: readonly Row[];
  readonly loaded: boolean;
  /** Of all that is kept, or of the chosen day and strategy; null where it is that of the rows. */
  readonly extent: Pick<ListRow, "total" | "won" | "realised" | "refused"> | null;
  /** Days that rows of the list are of. */
  readonly days: readonly string[];
  /** Choice of the day, and buttons for older rows, for the line above the table. */
  readonly tools: ReactNode;
  /** What went wrong with older rows, for above the table. */
  readonly note: ReactNode;
}

const REPEAT_MS = 15_000;

/** `atMs` is the time by which a row has its day; with a `strategy` the list is of its rows alone. */
export function useKeptList<Name extends ListName>(name: Name, atMs: (row: Topics[Name]) => number | null, strategy = ""): KeptList<Topics[Name]> {
  type Row = Topics[Name];
  const live = useTopic(name);
  const whole = useTopic("lists").rows.find((row) => row.name === name) ?? null;
  const [day, setDay] = useState("");
  const [before, setBefore] = useState("");
  const chosen = day !== "" || strategy !== "";
  const asks = before !== "" || (chosen && whole !== null && whole.older !== "");
  const answer = useAnswer<ListPage>(asks ? `/api/lists/${name}` : null, { before, day, strategy }, before ? 0 : REPEAT_MS);
  const rows = useMemo((): readonly Row[] => {
    const now = chosen ? live.rows.filter((row) => (!day || dayOf(atMs(row)) === day) && (!strategy || row.strategy === strategy)) : live.rows;
    if (!asks) return now;
    const asked = (answer.data?.rows ?? []) as Row[];
    // what is asked for is of a moment ago: a row of the topic is newer
    return before ? asked : [...new Map([...asked, ...now].map((row) => [row.id, row])).values()];
  }, [live.rows, answer.data, asks, before, chosen, day, strategy, atMs]);

  const extent = asks ? (answer.data?.extent ?? null) : chosen ? null : whole;
  const older = asks ? (answer.data?.extent.older ?? "") : (whole?.older ?? "");
  const partly = before !== "" || older !== "";
  const choose = (one: string) => {
    setDay(one);
    setBefore("");
  };
  return {
    rows, extent, days: whole?.days ?? [],
    loaded: asks ? answer.data !== null : live.loaded,
    tools: (
      <>
        <DayChoice days={whole?.days ?? []} value={day} onChange={choose} />
        {partly && extent && (
          <span className="muted small">
            {strategy ? "" : `search, filters and CSV cover ${number(rows.filter((row) => !("parent" in row && row.parent)).length)} rows: `}
            {before ? "older ones" : name === "trades" ? "the newest" : "the newest, and all that have not ended,"} of {number(extent.total)}
            {older && !strategy && "; Older shows the next"}
          </span>
        )}
        {older && <button type="button" className="small" onClick={() => setBefore(older)}>Older</button>}
        {before && <button type="button" className="small" onClick={() => setBefore("")}>Newest</button>}
        {!older && whole !== null && whole.forgotten > 0 && (
          <span className="muted small">{number(whole.forgotten)} before these: mytrading journal show</span>
        )}
      </>
    ),
    note: answer.error ? <ErrorNote error={answer.error} /> : null,
  };
}
