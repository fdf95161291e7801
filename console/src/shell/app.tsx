/** The shell: login or head, navigation and page; the page is grey while what it shows is old. */
import { Suspense, useEffect, useState } from "react";
import { Link as To, Route, Router, Switch, useLocation } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { loadSession } from "../api/client";
import { useEnded, useRole, useSession } from "../api/session";
import { connection, useLink, useTopic } from "../live/hooks";
import type { HaltRow } from "../generated/api";
import { Card, ErrorNote, Fence, Page } from "../ui/parts";
import { Toasts } from "../ui/toast";
import { ConfirmHost } from "./confirm";
import { Emergency, type EmergencyKind, HaltsDialog } from "./emergency";
import { Head } from "./head";
import { Login, LoginAgain } from "./login";
import { PAGES, type PageEntry, pageAt } from "./pages";

export function App() {
  const session = useSession();
  const ended = useEnded();
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const now = ended ?? session;
  const needed = !now || (!now.user && !now.csrf);
  // a new turn asks again
  useEffect(() => {
    if (needed) loadSession().then(() => setError(null), setError);
  }, [needed, turn]);
  if (!session) {
    return (
      <main className="login">
        <div className="stack">
          <ErrorNote error={error} />
          {error ? (
            <button type="button" onClick={() => setTurn((now) => now + 1)}>
              Try again
            </button>
          ) : null}
        </div>
      </main>
    );
  }
  if (!session.user) return <Login session={session} />;
  return (
    <>
      <Router hook={useHashLocation}>
        <Shell key={session.user.name} mode={session.mode} away={ended !== null} />
      </Router>
      {ended && <LoginAgain session={ended} owner={session.user.name} />}
    </>
  );
}

/** All of the page; while it is `away` its user has to log in again, and it is kept out of sight. */
function Shell(props: { mode: string; away: boolean }) {
  const { away } = props;
  const link = useLink();
  const [menu, setMenu] = useState(false);
  const [emergency, setEmergency] = useState<{ kind: EmergencyKind; account?: string; strategy?: string } | null>(null);
  const [listed, setListed] = useState(false);
  const halts = useTopic("halts").rows;
  const trader = useRole("trader");
  const ranks = { trader, admin: useRole("admin") };
  const [place] = useLocation();
  const page = pageAt(place);

  useEffect(() => {
    connection.start();
    return () => connection.stop();
  }, []);
  useEffect(() => (away ? () => connection.renew() : undefined), [away]);
  useEffect(() => {
    document.title = `[${props.mode.toUpperCase()}] ${page?.name ?? "Not found"} · MyTrading`;
  }, [props.mode, page]);
  // a new page closes the menu
  useEffect(() => setMenu(false), [place]);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (!event.altKey || !event.shiftKey || event.code !== "KeyH" || !trader || away) return;
      event.preventDefault();
      setEmergency((now) => now ?? { kind: "Halt" });
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [trader, away]);

  const resume = (row: HaltRow) => {
    setListed(false);
    setEmergency({ kind: "Resume", account: row.account, strategy: row.strategy });
  };
  const showHalts = () => (trader && halts.length === 1 && halts[0] && halts[0].kind !== "flatten" ? resume(halts[0]) : setListed(true));

  return (
    <div className={`mode-${props.mode} ${link.fresh ? "" : "stale"} ${away ? "away" : ""}`}>
      {trader && (
        <button type="button" className="skip danger" onClick={() => setEmergency({ kind: "Halt" })}>
          Halt trading (Alt+Shift+H)
        </button>
      )}
      <Head mode={props.mode} menu={menu} onMenu={() => setMenu(!menu)} halts={halts} onHalts={showHalts} onHalt={trader ? () => setEmergency({ kind: "Halt" }) : null} />
      {link.reload && (
        <div className="banner care" role="alert">
          The console was updated. This page is of the version before.
          <button type="button" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      )}
      {!link.fresh && link.hello !== null && (
        <div className="banner bad" role="alert">
          Old data: {link.problem}. Halt and kill work all the same.
        </div>
      )}
      <div className="body">
        <Navigation open={menu} />
        <main id="content">
          <Fence key={page?.path}>
            <Suspense fallback={<Loading />}>
              <Switch>
                {PAGES.map((one) => (
                  <Route key={one.path} path={one.named ? `${one.path}/:name?` : one.path}>
                    {!one.role || ranks[one.role] ? <one.component /> : <NotYours page={one} />}
                  </Route>
                ))}
                <Route>
                  <Card title="No such page">Choose one on the left.</Card>
                </Route>
              </Switch>
            </Suspense>
          </Fence>
        </main>
      </div>
      {listed && <HaltsDialog onResume={trader ? resume : null} onClose={() => setListed(false)} />}
      {emergency && <Emergency {...emergency} onClose={() => setEmergency(null)} />}
      <ConfirmHost />
      <Toasts />
    </div>
  );
}

/** In place of a page that is not loaded yet. */
function Loading() {
  const link = useLink();
  const lost = link.hello !== null && !link.fresh;
  return (
    <p className="muted" role="status">
      {lost ? `This page is shown once the console answers: ${link.problem}.` : "Loading…"}
    </p>
  );
}

/** What a role may not see: its page by name, and who can change that. */
function NotYours({ page }: { page: PageEntry }) {
  const role = useSession()?.user?.role;
  return (
    <Page title={page.name}>
      <Card>
        This page takes the role {page.role}; you have {role}. An administrator can change that under Users.
      </Card>
    </Page>
  );
}

const GROUPS = ["Trading", "Strategies", "Money", "System"] as const;

function Navigation(props: { open: boolean }) {
  const [place] = useLocation();
  const needs = useTopic("needs").rows.length;
  const alerts = useTopic("alerts").rows.length;
  const trader = useRole("trader");
  const admin = useRole("admin");
  const counts: Record<string, number> = { "/": needs, "/alerts": alerts };
  return (
    <nav className={props.open ? "nav open" : "nav"} aria-label="Pages" id="pages">
      {GROUPS.map((group) => {
        const pages = PAGES.filter((page) => page.group === group && (!page.role || { trader, admin }[page.role]));
        if (!pages.length) return null;
        return [
          <h2 key={group}>{group}</h2>,
          ...pages.map((page) => (
            <To key={page.path} href={page.path} aria-current={pageAt(place) === page ? "page" : undefined}>
              {page.name}
              {counts[page.path] ? (
                <span className="count" title={page.path === "/" ? "wait for a person" : "active alerts"}>
                  {counts[page.path]}
                </span>
              ) : null}
            </To>
          )),
        ];
      })}
    </nav>
  );
}
