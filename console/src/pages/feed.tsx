/** Feed monitor: the source in use and those in reserve, each subscription with its age, counts, and its connections. */
import { useMemo, useState } from "react";
import { Link as To } from "wouter";
import { useAnswer } from "../api/hooks";
import type { FeedMonitor, FeedSource, FeedSubscription, FeedSubscriptions } from "../generated/api";
import { clock, moment, number, percent, span, symbol, words } from "../ui/format";
import { Badge, Card, Empty, ErrorNote, Figure, Figures, Page, Share } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const EVERY_MS = 5000;
/** Ages in seconds up to which instruments are counted together. */
const AGES: readonly [string, number][] = [["up to 1 s", 1], ["1 to 5 s", 5], ["5 to 30 s", 30], ["30 s to 5 min", 300], ["over 5 min", Number.POSITIVE_INFINITY]];

const state = (row: FeedSubscription): string => (row.state === "live" && !row.ticks ? "no quote yet" : row.state);

const SUBSCRIPTIONS: readonly Column<FeedSubscription>[] = [
  { id: "instrument", name: "Instrument", value: (row) => row.instrument, cell: (row) => <span title={row.instrument}>{symbol(row.instrument)}</span> },
  { id: "state", name: "State", value: state, cell: (row) => <Badge tone={row.state === "refused" ? "bad" : row.state === "live" && row.ticks ? "good" : "care"}>{state(row)}</Badge> },
  { id: "age", name: "Last tick", num: true, value: (row) => row.age_s, cell: (row) => <span className={row.age_s !== null && row.age_s > 30 ? "warn" : ""}>{span(row.age_s)}</span> },
  { id: "ticks", name: "Ticks", num: true, value: (row) => row.ticks, cell: (row) => number(row.ticks) },
  { id: "wanted", name: "Wanted by", value: (row) => row.wanted_by.join(", "), cell: (row) => <span className="nowrap">{row.wanted_by.join(", ") || <span className="muted">nobody any more</span>}</span> },
  { id: "exchange", name: "Exchange", extra: true, value: (row) => row.instrument.slice(0, row.instrument.indexOf(":")) },
  { id: "mode", name: "Mode", extra: true, value: (row) => row.mode },
  { id: "problem", name: "Server said", extra: true, value: (row) => row.problem, cell: (row) => <span className="wrap">{row.problem}</span> },
];
const subscriptionKey = (row: FeedSubscription): string => row.instrument;

const SOURCES: readonly Column<FeedSource>[] = [
  { id: "name", name: "Source", value: (row) => row.name, cell: (row) => <span className="strong">{row.name}</span> },
  { id: "role", name: "Role", value: (row) => (row.active ? "in use" : "stands by"), cell: (row) => <Badge tone={row.active ? "info" : ""}>{row.active ? "in use" : "stands by"}</Badge> },
  { id: "condition", name: "Condition", value: (row) => row.condition, cell: (row) => <Badge tone={row.condition === "well" ? "good" : row.condition === "sick" ? "bad" : "care"}>{row.connected ? row.condition : "not connected"}</Badge> },
  { id: "age", name: "Last quote", num: true, value: (row) => row.age_s, cell: (row) => span(row.age_s) },
  { id: "subscribed", name: "Subscribed", num: true, value: (row) => row.subscribed },
  { id: "ticked", name: "Ticked", num: true, value: (row) => row.ticked },
  { id: "connections", name: "Connected", num: true, value: (row) => row.connections, cell: (row) => `${number(row.connections)} ×` },
  { id: "problem", name: "Problem", value: (row) => row.problem, cell: (row) => <span className="wrap">{row.problem}</span> },
];
const sourceKey = (row: FeedSource): string => row.name;
const NO_ROWS: readonly never[] = [];

export default function Feed() {
  const answer = useAnswer<FeedMonitor>("/api/feed", {}, EVERY_MS);
  const listed = useAnswer<FeedSubscriptions>("/api/feed/subscriptions", {}, EVERY_MS);
  const feed = answer.data;
  return (
    <Page title="Feed" actions={<span className="muted small">every {EVERY_MS / 1000} s</span>}>
      <ErrorNote error={answer.error} />
      {!feed && !answer.error && <p className="muted">Waiting for data…</p>}
      {feed && (
        <>
          <Card title="Sources" plain>
            <ErrorNote error={listed.error} />
            <Table plain label="sources" rows={listed.data?.sources ?? NO_ROWS} loaded={listed.data !== null} columns={SOURCES} rowKey={sourceKey} empty="No source." />
          </Card>
          <div className="columns">
            <Card title="Connections and quotes">
              <Figures>
                <Figure name="In use">{feed.current || "none"}</Figure>
                <Figure name="In reserve, by preference">{feed.standby.join(", ") || "none"}</Figure>
                <Figure name="Connections in order">{number(feed.well)}</Figure>
                <Figure name="Silent for">{feed.silent_s !== null && feed.silent_s > 5 ? <span className="warn">{span(feed.silent_s)}</span> : span(feed.silent_s)}</Figure>
                <Figure name="Switches of source">{number(feed.switches)}</Figure>
                <Figure name="Reconnections">{number(feed.reconnects)}</Figure>
                <Figure name="Subscribed instruments">{number(feed.subscribed)}</Figure>
                <Figure name="Have sent a quote">{number(feed.ticked)}</Figure>
                <Figure name="Fresh of expected">
                  <span className={feed.fresh < feed.expected ? "warn" : ""}>{number(feed.fresh)} of {number(feed.expected)}</span>
                </Figure>
                <Figure name="Quotes received">{number(feed.quotes)}</Figure>
                <Figure name="Bars made">{number(feed.bars)}</Figure>
              </Figures>
            </Card>
            <Ages rows={listed.data?.subscriptions ?? NO_ROWS} />
          </div>
          <Subscribed rows={listed.data?.subscriptions ?? NO_ROWS} loaded={listed.data !== null} />
          <Card title="Changes of source" plain>
            {!feed.failovers.length && <Empty>None yet: the first source served all the time.</Empty>}
            <ul className="list" aria-label="Changes of source">
              {feed.failovers.map((one, index) => (
                <li key={`${one.wall_ms} ${index}`}>
                  <span className="muted nowrap">{moment(one.wall_ms)}</span>
                  <Badge tone={one.kind === "failback" ? "good" : "care"}>{one.kind}</Badge>
                  <span className="grow">{one.previous} → <span className="strong">{one.to}</span>{one.reason && <>: {one.reason}</>}</span>
                </li>
              ))}
            </ul>
          </Card>
          <Card title="What happened to its connections" plain actions={<To href="/logs?process=feed&text=feed.">All of it, in the log</To>}>
            {!feed.history.length && <Empty>Nothing since the start.</Empty>}
            <ul className="list">
              {[...feed.history].reverse().map((line, index) => (
                // lines have no id of their own
                <li key={`${line.wall_ms} ${index}`}>
                  <span className="muted nowrap">{clock(line.wall_ms)}</span>
                  <Badge tone={line.level === "error" ? "bad" : line.level === "warning" ? "care" : ""}>{line.event}</Badge>
                  <span className="grow mono">{line.text}</span>
                </li>
              ))}
            </ul>
          </Card>
          <Card title="All figures of the feed">
            <Figures>
              {Object.entries(feed.figures).sort(([a], [b]) => a.localeCompare(b)).map(([name, value]) => (
                <Figure key={name} name={words(name)}>{number(value, Number.isInteger(value) ? 0 : 2)}</Figure>
              ))}
            </Figures>
          </Card>
        </>
      )}
    </Page>
  );
}

/** How many instruments have a last tick of which age. */
function Ages({ rows }: { rows: readonly FeedSubscription[] }) {
  const counts = AGES.map(() => 0);
  for (const row of rows) {
    if (row.age_s === null) continue;
    const place = AGES.findIndex(([, most]) => (row.age_s ?? 0) <= most);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  const named: [string, number][] = [...AGES.map(([name], place): [string, number] => [name, counts[place] ?? 0]), ["none yet", rows.filter((row) => row.age_s === null).length]];
  return (
    <Card title="Age of the last tick" plain>
      <table className="ages">
        <thead className="hidden"><tr><th scope="col">Age</th><th scope="col">Instruments</th><th scope="col">Share</th></tr></thead>
        <tbody>
          {named.map(([name, count]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="num">{number(count)}</td>
              <td><Share value={rows.length ? count / rows.length : 0} label={`${name}: ${percent(rows.length ? count / rows.length : 0, 0)} of the instruments`} calm /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function Subscribed({ rows, loaded }: { rows: readonly FeedSubscription[]; loaded: boolean }) {
  const [who, setWho] = useState("");
  const names = useMemo(() => [...new Set(rows.flatMap((row) => row.wanted_by))].sort(), [rows]);
  const shown = useMemo(() => (who ? rows.filter((row) => row.wanted_by.includes(who)) : rows), [rows, who]);
  const wanted = (
    <select aria-label="Wanted by" value={who} onChange={(event) => setWho(event.target.value)}>
      <option value="">Wanted by: all</option>
      {names.map((name) => <option key={name}>{name}</option>)}
      {who && !names.includes(who) && <option>{who}</option>}
    </select>
  );
  return (
    <Card title="Subscriptions" plain>
      <Table label="subscriptions" csv="subscriptions" rows={shown} loaded={loaded} columns={SUBSCRIPTIONS} rowKey={subscriptionKey} choose={["state", "exchange"]} tools={wanted} sort={{ id: "age", desc: true }} empty="Nothing is subscribed." />
    </Card>
  );
}
