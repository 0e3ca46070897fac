// The frame around every view.

import { useEffect, useRef } from "preact/hooks";
import { logout } from "./api/client";
import { capitalised } from "./logic/format";
import { ConnectionNotice, ConnectionPill } from "./parts/connection";
import { ModeSwitch } from "./parts/mode_switch";
import { link, route, VIEWS, type View } from "./route";
import { denied, retry, session, stale, status } from "./state";
import { theme, toggleTheme } from "./theme";
import { ActorsView } from "./views/actors";
import { DecisionView } from "./views/decision";
import { DecisionsView } from "./views/decisions";
import { JournalView } from "./views/journal";
import { LoginView } from "./views/login";
import { OverviewView } from "./views/overview";
import { QueriesView } from "./views/queries";
import { QueryView } from "./views/query";

export function App() {
  // After a sign-in the address bar still says /login; a session that is open has nothing to do there.
  const atLogin = location.pathname.endsWith("/login");
  if (denied.value || (atLogin && session.value === null)) return <LoginView />;
  if (atLogin) history.replaceState(null, "", `./${location.hash}`);
  return (
    <>
      <button type="button" class="skip" onClick={toMain}>
        Skip to the content
      </button>
      <Header />
      <Main />
      <Footer />
      <ConnectionNotice />
    </>
  );
}

/** No link: the address after `#` is the view's. */
function toMain(): void {
  document.getElementById("main")?.focus();
}

function Header() {
  return (
    <header class="top">
      <div class="bar">
        <p class="brand">
          <Logo />
          <span class="brand-name">evenkeel</span>
          <span class="brand-database">
            <b>{status.value?.name ?? ""}</b> {status.value?.database ?? ""}
          </span>
        </p>
        <ConnectionPill />
        <ModeSwitch />
        <ThemeSwitch />
      </div>
      <nav aria-label="Views">
        {VIEWS.map((view) => (
          <a key={view} href={link(view)} aria-current={route.value.view === view ? "page" : undefined}>
            {capitalised(view)}
          </a>
        ))}
      </nav>
    </header>
  );
}

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <path class="logo-corridor" d="M3 9.5h26M3 22.5h26" />
      <path class="logo-wave" d="M3 16c3.5 0 3.5-3 6.5-3s3.5 6 6.5 6 3.5-6 6.5-6 3 3 6.5 3" />
    </svg>
  );
}

function ThemeSwitch() {
  const other = theme.value === "light" ? "dark" : "light";
  return (
    <button type="button" class="quiet theme" aria-label={`Switch to ${other} colours`} onClick={toggleTheme}>
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.5" />
        <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
      </svg>
    </button>
  );
}

const TITLES: Record<View, string> = {
  overview: "Overview",
  queries: "Queries",
  decisions: "Decisions",
  journal: "Journal",
  actors: "Actors",
};

function Main() {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const { view, id } = route.value;
  useEffect(() => {
    document.title = `${TITLES[view]} · evenkeel`;
    if (!first.current) {
      // Who reads with a screen reader or by keyboard starts at the new view's beginning.
      main.current?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    first.current = false;
  }, [view, id]);
  return (
    <main id="main" ref={main} tabIndex={-1} data-stale={stale.value}>
      <Current view={view} id={id} />
    </main>
  );
}

function Current({ view, id }: { view: View; id: string | null }) {
  switch (view) {
    case "queries":
      return id === null ? <QueriesView /> : <QueryView key={id} id={id} />;
    case "decisions":
      return id === null ? <DecisionsView /> : <DecisionView key={id} id={id} />;
    case "journal":
      return <JournalView />;
    case "actors":
      return <ActorsView />;
    default:
      return <OverviewView />;
  }
}

async function signOut(): Promise<void> {
  await logout().catch(() => undefined);
  retry();
}

function Footer() {
  return (
    <footer>
      <span>evenkeel {status.value?.version ?? ""}</span>
      <a href="api/docs/">API</a>
      <a href="metrics">Metrics</a>
      {session.value?.open === false && (
        <button type="button" class="quiet" onClick={() => void signOut()}>
          Sign out
        </button>
      )}
    </footer>
  );
}
