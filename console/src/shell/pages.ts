/** The pages: name, address, group in the navigation, least role. Each is loaded when it is first shown. */
import { type ComponentType, lazy } from "react";

export interface PageEntry {
  path: string;
  name: string;
  group: "Trading" | "Strategies" | "Money" | "System";
  role?: "trader" | "admin";
  /** The address may end with a name: /strategies/Donchian. */
  named?: boolean;
  component: ComponentType;
}

export const PAGES: readonly PageEntry[] = [
  { path: "/", name: "Dashboard", group: "Trading", component: lazy(() => import("../pages/dashboard")) },
  { path: "/positions", name: "Positions", group: "Trading", component: lazy(() => import("../pages/positions")) },
  { path: "/orders", name: "Orders", group: "Trading", component: lazy(() => import("../pages/orders")) },
  { path: "/trades", name: "Trades", group: "Trading", component: lazy(() => import("../pages/trades")) },
  { path: "/signals", name: "Signals", group: "Trading", component: lazy(() => import("../pages/signals")) },
  { path: "/alerts", name: "Alerts", group: "Trading", component: lazy(() => import("../pages/alerts")) },
  { path: "/risk", name: "Risk", group: "Trading", component: lazy(() => import("../pages/risk")) },
  { path: "/chain", name: "Option chain", group: "Trading", component: lazy(() => import("../pages/chain")) },
  { path: "/strategies", name: "Strategies", group: "Strategies", named: true, component: lazy(() => import("../pages/strategies")) },
  { path: "/builder", name: "Builder", group: "Strategies", component: lazy(() => import("../pages/builder")) },
  { path: "/reports", name: "Research", group: "Strategies", named: true, component: lazy(() => import("../pages/reports")) },
  { path: "/webhooks", name: "Webhooks", group: "Strategies", role: "trader", component: lazy(() => import("../pages/webhooks")) },
  { path: "/accounts", name: "Accounts and funds", group: "Money", component: lazy(() => import("../pages/accounts")) },
  { path: "/feed", name: "Feed", group: "System", component: lazy(() => import("../pages/feed")) },
  { path: "/processes", name: "Processes", group: "System", component: lazy(() => import("../pages/processes")) },
  { path: "/logs", name: "Logs", group: "System", component: lazy(() => import("../pages/logs")) },
  { path: "/instruments", name: "Instruments", group: "System", component: lazy(() => import("../pages/instruments")) },
  { path: "/calendar", name: "Calendar", group: "System", component: lazy(() => import("../pages/calendar")) },
  { path: "/settings", name: "Settings", group: "System", role: "admin", component: lazy(() => import("../pages/settings")) },
  { path: "/users", name: "Users", group: "System", role: "admin", component: lazy(() => import("../pages/users")) },
  { path: "/audit", name: "Audit", group: "System", role: "admin", component: lazy(() => import("../pages/audit")) },
  { path: "/me", name: "My account", group: "System", component: lazy(() => import("../pages/me")) },
];

/** The page of an address. */
export function pageAt(place: string): PageEntry | undefined {
  return PAGES.find((page) => page.path === place || (page.named && place.startsWith(`${page.path}/`)));
}
