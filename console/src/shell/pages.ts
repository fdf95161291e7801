/** The pages: name, address, group in the navigation, least role. Each is loaded when it is first shown. */
import type { ComponentType } from "react";
import { latePage } from "../live/late_parts";

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
  { path: "/", name: "Dashboard", group: "Trading", component: latePage(() => import("../pages/dashboard")) },
  { path: "/positions", name: "Positions", group: "Trading", component: latePage(() => import("../pages/positions")) },
  { path: "/orders", name: "Orders", group: "Trading", component: latePage(() => import("../pages/orders")) },
  { path: "/trades", name: "Trades", group: "Trading", component: latePage(() => import("../pages/trades")) },
  { path: "/signals", name: "Signals", group: "Trading", component: latePage(() => import("../pages/signals")) },
  { path: "/alerts", name: "Alerts", group: "Trading", component: latePage(() => import("../pages/alerts")) },
  { path: "/risk", name: "Risk", group: "Trading", component: latePage(() => import("../pages/risk")) },
  { path: "/chain", name: "Option chain", group: "Trading", component: latePage(() => import("../pages/chain")) },
  { path: "/strategies", name: "Strategies", group: "Strategies", named: true, component: latePage(() => import("../pages/strategies")) },
  { path: "/builder", name: "Builder", group: "Strategies", component: latePage(() => import("../pages/builder")) },
  { path: "/reports", name: "Research", group: "Strategies", named: true, component: latePage(() => import("../pages/reports")) },
  { path: "/webhooks", name: "Webhooks", group: "Strategies", role: "trader", component: latePage(() => import("../pages/webhooks")) },
  { path: "/accounts", name: "Accounts and funds", group: "Money", component: latePage(() => import("../pages/accounts")) },
  { path: "/feed", name: "Feed", group: "System", component: latePage(() => import("../pages/feed")) },
  { path: "/processes", name: "Processes", group: "System", component: latePage(() => import("../pages/processes")) },
  { path: "/logs", name: "Logs", group: "System", component: latePage(() => import("../pages/logs")) },
  { path: "/instruments", name: "Instruments", group: "System", component: latePage(() => import("../pages/instruments")) },
  { path: "/calendar", name: "Calendar", group: "System", component: latePage(() => import("../pages/calendar")) },
  { path: "/settings", name: "Settings", group: "System", role: "admin", component: latePage(() => import("../pages/settings")) },
  { path: "/users", name: "Users", group: "System", role: "admin", component: latePage(() => import("../pages/users")) },
  { path: "/audit", name: "Audit", group: "System", role: "admin", component: latePage(() => import("../pages/audit")) },
  { path: "/me", name: "My account", group: "System", component: latePage(() => import("../pages/me")) },
];

/** The page of an address. */
export function pageAt(place: string): PageEntry | undefined {
  return PAGES.find((page) => page.path === place || (page.named && place.startsWith(`${page.path}/`)));
}
