/** Feed monitor: the source in use and those in reserve, freshness, counts, and what happened to its connections. */
import { useAnswer } from "../api/hooks";
import type { FeedMonitor } from "../generated/api";
import { clock, number, span, words } from "../ui/format";
import { Badge, Card, Empty, ErrorNote, Figure, Figures, Page } from "../ui/parts";

const EVERY_MS = 5000;

export default function Feed() {
  const answer = useAnswer<FeedMonitor>("/api/feed", {}, EVERY_MS);
  const feed = answer.data;
  return (
    <Page title="Feed" actions={<span className="muted small">every {EVERY_MS / 1000} s</span>}>
      <ErrorNote error={answer.error} />
      {!feed && <p className="muted">Waiting for data…</p>}
      {feed && (
        <>
          <div className="columns">
            <Card title="Sources">
              <Figures>
                <Figure name="In use">{feed.current || "none"}</Figure>
                <Figure name="In reserve, by preference">{feed.standby.join(", ") || "none"}</Figure>
                <Figure name="Connections in order">{number(feed.well)}</Figure>
                <Figure name="Silent for">{feed.silent_s !== null && feed.silent_s > 5 ? <span className="warn">{span(feed.silent_s)}</span> : span(feed.silent_s)}</Figure>
                <Figure name="Switches of source">{number(feed.switches)}</Figure>
                <Figure name="Reconnections">{number(feed.reconnects)}</Figure>
              </Figures>
            </Card>
            <Card title="Quotes">
              <Figures>
                <Figure name="Subscribed instruments">{number(feed.subscribed)}</Figure>
                <Figure name="Have sent a quote">{number(feed.ticked)}</Figure>
                <Figure name="Fresh of expected">
                  <span className={feed.fresh < feed.expected ? "warn" : ""}>{number(feed.fresh)} of {number(feed.expected)}</span>
                </Figure>
                <Figure name="Quotes received">{number(feed.quotes)}</Figure>
                <Figure name="Bars made">{number(feed.bars)}</Figure>
              </Figures>
            </Card>
          </div>
          <Card title="What happened to its connections" plain>
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
