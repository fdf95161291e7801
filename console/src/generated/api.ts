// Written by `python -m lab.console_types` from mytrading/messages/console_*.py. Do not edit.

/** POST /api/setup/accounts/test (admin): how a server answered its account's key, in `ms`. */
export interface AccountAnswer {
  id: string;
  ok: boolean;
  broker: string;
  message: string;
  mode: string;
  ms: number;
}

/** POST /api/setup/accounts/{name} (admin, confirmed): a `new` account, or what is not empty of one that is there. */
export interface AccountChange {
  new?: boolean;
  host?: string;
  ws_url?: string;
  broker?: string;
  role?: "" | "backup" | "primary" | "trading";
  product?: "" | "CNC" | "MIS" | "NRML";
  key?: string;
}

/** Topic `accounts`, by account: funds, profit, status and the age of what is shown. */
export interface AccountRow {
  account: string;
  role: string;
  broker: string;
  product: string;
  host: string;
  status: string;
  books: string;
  right_mode: boolean | null;
  stream_up: boolean | null;
  message: string;
  level: string;
  available: number | null;
  used_margin: number | null;
  collateral: number | null;
  realised: number | null;
  unrealised: number | null;
  broker_realised: number | null;
  broker_unrealised: number | null;
  difference: number | null;
  not_comparable: string;
  funds_wall_ms: number | null;
  books_wall_ms: number | null;
  positions: number;
  calls_used: number | null;
  calls_limit: number | null;
  calls_waiting: number | null;
}

/** GET /api/setup/accounts (admin): an account of config/accounts.toml, without its key. */
export interface AccountSetup {
  id: string;
  role: string;
  broker: string;
  host: string;
  ws_url: string;
  product: string;
}

/** POST /api/actions/acknowledge: an active alert (the key of its row) was seen. Role trader. */
export interface AcknowledgeAction {
  request_id: string;
  alert: string;
  reason?: string;
}

/** A command was journaled: "taken" is neither sent nor done. What it did shows on the topics. */
export interface ActionTaken {
  request_id: string;
  text: string;
  follow: string[];
  by_kill_file: boolean;
}

/** Topic `alerts`, by `id`: active ones. */
export interface AlertRow {
  id: string;
  code: string;
  severity: string;
  subject: string;
  message: string;
  daemon: string;
  count: number;
  first_ms: number | null;
  last_ms: number | null;
  seen_by: string;
  seen_ms: number | null;
}

/** The body of every answer that is not 2xx. `code` is for programs, `error` says what to do. */
export interface ApiError {
  code: string;
  error: string;
  field: string;
  retry_after_s: number;
}

/** GET /api/audit?user=&action=&result=&limit=&before=: newest first. */
export interface AuditEntry {
  id: number;
  wall_ms: number;
  user: string;
  ip: string;
  action: string;
  target: string;
  result: string;
  details: string;
  request_id: string;
}

/** GET /api/books/{book}, orders, trades, positions, holdings or funds: of an account, field by field. Where it */
export interface BrokerBook {
  account: string;
  rows: Record<string, unknown>[];
  age_s: number;
  problem: string;
}

/** GET /api/calendar?exchange=&days=: a day from today on. Sessions as "09:15–15:30". */
export interface CalendarDay {
  day: string;
  exchange: string;
  sessions: string[];
  holiday: string;
}

/** POST /api/actions/cancel. `version` is that of the row: refused with MOVED if the order changed since. */
export interface CancelAction {
  request_id: string;
  order: string;
  version: string;
  force?: boolean;
  reason?: string;
}

/** A call or a put of a chain. Volatility is a fraction a year; greeks are of one unit, theta of a day. */
export interface ChainCell {
  instrument: string;
  lot: number;
  ltp: number | null;
  bid: number | null;
  ask: number | null;
  volume: number | null;
  open_interest: number | null;
  open_interest_change: number | null;
  iv: number | null;
  delta: number | null;
  gamma: number | null;
  theta: number | null;
  vega: number | null;
}

/** A future on the underlying of a chain. */
export interface ChainFuture {
  instrument: string;
  expiry: string;
  lot: number;
  ltp: number | null;
}

/** Topic `chainhead:UNDERLYING:EXPIRY`, one row with the key "". Without an expiry: of spot and futures. */
export interface ChainHead {
  underlying: string;
  expiry: string;
  expiries: string[];
  spot_instrument: string;
  spot: number | null;
  forward: number | null;
  days: number;
  put_call_ratio: number | null;
  put_call_ratio_volume: number | null;
  max_pain: number | null;
  straddle: number | null;
  atm_iv: number | null;
  interest_since_ms: number | null;
  interest_latest_ms: number | null;
  missing: number;
  market_ms: number | null;
  futures: ChainFuture[];
  problem: string;
}

/** Topic `chain:UNDERLYING:EXPIRY`, by the strike as text. */
export interface ChainLine {
  strike: number;
  at_money: boolean;
  call: ChainCell | null;
  put: ChainCell | null;
}

/** A straight line across a panel at a value of an axis, with a word beside it. */
export interface ChartLine {
  axis: "x" | "y";
  value: string | number | null;
  text?: string;
  panel?: number;
}

/** One of the panels of a chart, from the top; `share` is its part of the height. */
export interface ChartPanel {
  title?: string;
  unit?: "date" | "duration" | "integer" | "number" | "percent" | "price" | "rupees" | "text" | "time";
  share?: number;
  log?: boolean;
}

/** Values of one name in a chart, in the unit of its panel; None is a hole. */
export interface ChartSeries {
  name: string;
  draw: "area" | "bars" | "candles" | "heat" | "line" | "marks" | "step";
  x: (string | number | null)[];
  y: (string | number | null)[];
  open?: number[];
  high?: number[];
  low?: number[];
  cells?: ((number | null)[])[];
  text?: string[];
  colour?: "" | "gain" | "loss" | "muted" | "pale" | "subject" | "warn";
  panel?: number;
  shape?: "" | "circle" | "cross" | "down" | "up";
  hollow?: boolean;
  size?: number;
  dashed?: boolean;
  hidden?: boolean;
  signed?: boolean;
}

/** GET /api/doctor (trader): a check of machine, server, key, broker session, mode or instruments, and its cure. */
export interface CheckRow {
  check: string;
  account: string;
  verdict: "failed" | "not tested" | "ok" | "warning";
  found: string;
  cure: string;
}

/** POST /api/actions/claim: give unmanaged units to a strategy, or to `manual` to be closed. */
export interface ClaimAction {
  request_id: string;
  position: string;
  version: string;
  strategy: string;
  quantity?: number;
  price?: number;
  stop?: number;
  stop_limit?: number;
  reason?: string;
}

/** POST /api/actions/close: close what an owner holds of an instrument. What covers sold legs of the owner (`covers` */
export interface CloseAction {
  request_id: string;
  position: string;
  version: string;
  force?: boolean;
  deadline_s?: number;
  reason?: string;
}

/** POST /api/actions/close-run: close a run of a strategy, which is all that it holds; its entries stay allowed. */
export interface CloseRunAction {
  request_id: string;
  run: string;
  deadline_s?: number;
  reason?: string;
}

/** Topic `trades`, by `id`: a round trip from flat to flat. */
export interface ClosedTradeRow {
  id: string;
  account: string;
  strategy: string;
  run: string;
  instrument: string;
  product: string;
  side: string;
  quantity: number;
  entry_price: number;
  exit_price: number;
  realised: number;
  opened_ms: number | null;
  closed_ms: number | null;
}

/** POST /api/config/{name} (admin, confirmed): another text, or a `version` of before; written only with `save`. */
export interface ConfigDraft {
  text?: string;
  version?: string;
  expected: string;
  save?: boolean;
}

/** POST /api/config/{name}: with a `problem` nothing was written. `diff` is unified, by line. */
export interface ConfigDraftResult {
  saved: boolean;
  problem: string;
  diff: string[];
  digest: string;
  versions: string[];
}

/** GET /api/config/{name} (admin), `calendar` or `risk`: config/NAME.toml, which a running stack follows. */
export interface ConfigFile {
  name: string;
  text: string;
  digest: string;
  versions: string[];
}

/** POST /api/confirm: the password or a code again, for actions answered with CONFIRM_NEEDED. */
export interface ConfirmRequest {
  password?: string;
  totp?: string;
}

/** A line of imported mappings; `problem` is "in order" for one that can be taken. */
export interface CsvRow {
  line: number;
  row: string;
  problem: string;
}

/** GET /api/webhooks/{name}/deliveries?limit= (trader): a verdict on an alert, the newest last. Hostile text. */
export interface DeliveryRow {
  received: string;
  alert: string;
  ip: string;
  symbol: string;
  verdict: string;
  target: number;
  code: string;
  text: string;
  signal: string;
  body: string;
}

/** Topic `exposure`, by `id`: what an account holds in one underlying, all strategies and unmanaged units together. */
export interface ExposureRow {
  id: string;
  account: string;
  underlying: string;
  contracts: number;
  long_value: number | null;
  short_value: number | null;
  spot: number | null;
  notional: number | null;
  delta: number | null;
  delta_value: number | null;
  theta: number | null;
  vega: number | null;
}

/** GET /api/feed: where quotes come from. `figures` are those of the feed's heartbeat, `history` its connections. */
export interface FeedMonitor {
  current: string;
  standby: string[];
  well: number;
  silent_s: number | null;
  subscribed: number;
  ticked: number;
  fresh: number;
  expected: number;
  quotes: number;
  bars: number;
  switches: number;
  reconnects: number;
  figures: Record<string, number>;
  failovers: FeedSwitch[];
  history: LogLine[];
}

/** A connection to a source of market data: the `active` one serves, the others stand by. */
export interface FeedSource {
  name: string;
  active: boolean;
  connected: boolean;
  condition: string;
  age_s: number;
  subscribed: number;
  ticked: number;
  connections: number;
  problem: string;
  broker: string;
  listed: boolean;
}

/** An instrument that the feed subscribes at the active source. */
export interface FeedSubscription {
  instrument: string;
  wanted_by: string[];
  state: string;
  mode: string;
  ticks: number;
  age_s: number | null;
  problem: string;
}

/** GET /api/feed/subscriptions: what the feed subscribes now, and at which sources. */
export interface FeedSubscriptions {
  sources: FeedSource[];
  subscriptions: FeedSubscription[];
}

/** A change of the serving source, takeover or failback, as the audit log of the state folder keeps it. */
export interface FeedSwitch {
  wall_ms: number | null;
  kind: string;
  previous: string;
  to: string;
  reason: string;
}

/** POST /api/first-user: the code of the shell, and the administrator to be. */
export interface FirstUserRequest {
  code: string;
  name: string;
  password: string;
}

/** POST /api/actions/flatten: halt entries and close positions of all accounts, one, or one strategy. Trader. */
export interface FlattenAction {
  request_id: string;
  account?: string;
  strategy?: string;
  deadline_s?: number;
  reason?: string;
}

/** GET /api/actions/flatten/{id}. `flat`: confirmed twice by the books. */
export interface FlattenProgress {
  id: string;
  state: string;
  flat: boolean;
  left: string[];
  unmanaged: string[];
  seconds_left: number | null;
}

/** POST /api/actions/halt and /api/actions/reduce. Without `account` all of them. Role trader. */
export interface HaltAction {
  request_id: string;
  account?: string;
  reason?: string;
}

/** Topic `halts`, by `id`: whatever holds entries back, or closes positions now. */
export interface HaltRow {
  id: string;
  kind: string;
  subject: string;
  account: string;
  strategy: string;
  level: string;
  reason: string;
  by: string;
  at_ms: number | null;
  cure: string;
}

/** GET /api/instruments?query=&limit=. */
export interface InstrumentRow {
  id: string;
  symbol: string;
  exchange: string;
  kind: string;
  underlying: string;
  expiry: string;
  strike: number | null;
  lot: number;
  tick: number;
  freeze: number;
}

/** POST /api/actions/kill: write the file KILL, which holds with or without the gateway. Role trader. */
export interface KillAction {
  request_id: string;
  reduce?: boolean;
  reason?: string;
}

/** POST /api/legs/{name} (trader): keys of the file, None takes one out; `legs` is the list of them. Or a `version`. */
export interface LegDraft {
  values?: Record<string, unknown>;
  source?: string;
  version?: string;
  expected?: string;
  save?: boolean;
}

/** POST /api/legs/{name}: with `problems` nothing was written. `diff` is unified, by line. */
export interface LegDraftResult {
  name: string;
  file: string;
  saved: boolean;
  digest: string;
  versions: string[];
  text: string;
  diff: string[];
  problems: LegProblem[];
  notes: string[];
  guards: string[];
  changes: string[];
}

/** GET /api/legs/{name} (trader): `values` are its keys, times as text; `digest` says which text that is. */
export interface LegFile {
  name: string;
  file: string;
  digest: string;
  text: string;
  values: Record<string, unknown>;
  versions: string[];
}

/** GET /api/legs: a strategy without code, config/strategies/NAME.toml. */
export interface LegFileRow {
  name: string;
  file: string;
  legs: number;
}

/** A mistake of a file: `field` as legs[2].strike, counted from 1, or parameters.period; empty if it is of none. */
export interface LegProblem {
  line: number;
  field: string;
  text: string;
}

/** Topic `limits`, by `id`: a risk limit with what is used of it, of a day or of a rule that judges entries. */
export interface LimitRow {
  id: string;
  kind: string;
  rule: string;
  unit: string;
  scope: string;
  name: string;
  account: string;
  now: number | null;
  most: number;
  left: number | null;
  used: number;
  action: string;
  reached: string;
}

/** GET /api/lists/{orders|trades|signals}: a further page of a list, or one of a day; `rows` as in its topic. */
export interface ListPage {
  rows: unknown[];
  extent: ListRow;
}

/** Topic `lists`, by `name`: how much there is of orders, trades or signals, whose topics hold the first page. */
export interface ListRow {
  name: string;
  total: number;
  forgotten: number;
  older: string;
  days: string[];
  won: number;
  realised: number;
  refused: number;
}

/** From the page: a new snapshot of a topic. */
export interface LiveAgain {
  type: "again";
  topic: string;
}

/** From the page, every 30 s while a person looks at it: keeps its chain leases. */
export interface LiveAlive {
  type: "alive";
}

/** Once a second. `stack` False: the gateway does not answer, and all that is shown is old. */
export interface LiveBeat {
  type: "beat";
  wall_ms: number;
  market_ms: number | null;
  speed: number;
  stack: boolean;
  stale_s: number;
  problem: string;
}

/** Changes since `previous`. `set` holds changed cells by row key (of a new row all of them), `gone` the keys */
export interface LiveDelta {
  type: "delta";
  topic: string;
  previous: number;
  version: number;
  set: Record<string, Record<string, unknown>>;
  gone: string[];
}

/** First message of the server. A page whose bundle has another `build` shows the banner "reload". */
export interface LiveHello {
  type: "hello";
  build: string;
  protocol: number;
  user: string;
  role: "admin" | "trader" | "viewer";
  wall_ms: number;
  market_ms: number | null;
  topics: string[];
}

/** A message of the page that was not followed. */
export interface LiveRefused {
  type: "refused";
  topic: string;
  error: string;
}

/** All rows of a topic by key; what the page had of it is void. */
export interface LiveSnapshot {
  type: "snapshot";
  topic: string;
  version: number;
  rows: Record<string, unknown>;
}

/** From the page: exactly these topics from now on; none in a hidden tab. */
export interface LiveWatch {
  type: "watch";
  topics: string[];
}

/** A line of the log by its fields; one without fields is all text. */
export interface LogLine {
  wall_ms: number | null;
  process: string;
  level: string;
  event: string;
  text: string;
}

/** Topic `log`, by `id`: the last lines of the log of all processes, as they come. */
export interface LogRow {
  id: string;
  wall_ms: number | null;
  process: string;
  level: string;
  event: string;
  text: string;
}

/** GET /api/logs?process=&level=&text=&trace=&limit=&before=: lines that fit, the newest last, of `looked_bytes` of */
export interface LogSearch {
  lines: LogLine[];
  older: string;
  back_to_ms: number | null;
  looked_bytes: number;
}

/** POST /api/login. `totp` only where the user has a second factor: without it the answer is TOTP_NEEDED. */
export interface LoginRequest {
  name: string;
  password: string;
  totp?: string;
}

/** GET /api/margin/lots?margin=&instrument=&kind=&grade=&expiry=&premium=: lots that a margin pays for, and why. */
export interface LotsAnswer {
  instrument: string;
  type: string;
  grade: string;
  share: number;
  margin_per_lot: number;
  lots: number;
  quantity: number;
  used: number;
  left: number;
  lot_size: number;
  freeze: number;
  max_lots: number;
  orders: number[];
  why: string;
}

/** Signed units (above 0 bought) of an instrument at a price in rupees; `spot` is that of its underlying, `product` */
export interface MarginOfLeg {
  instrument: string;
  units: number;
  price: number;
  spot?: number;
  product?: "" | "CNC" | "MIS" | "NRML";
}

/** GET /api/margin: rupees of an account as risk counts them: free is cash less what is reserved and kept back. */
export interface MarginRow {
  account: string;
  free: number;
  cash: number;
  reserved: number;
  buffer: number;
}

/** GET /api/margin/tables: config/risk.toml as it counts on `day`. `shares` of free margin by profile and grade. */
export interface MarginTables {
  day: string;
  requirements: RequirementRow[];
  shares: Record<string, number>;
  most_lots_per_leg: number;
}

/** POST /api/actions/modify. What is 0 stays; `quantity` counts filled units too. Terms by which a stop protects */
export interface ModifyAction {
  request_id: string;
  order: string;
  version: string;
  force?: boolean;
  price?: number;
  trigger?: number;
  quantity?: number;
  reason?: string;
}

/** Topic `needs`, by `id`: what waits for a person. */
export interface NeedRow {
  id: string;
  kind: string;
  severity: string;
  subject: string;
  text: string;
  reference: string;
  since_ms: number | null;
}

/** POST /api/webhooks/{name}/rotate (trader, confirmed): the old address holds for `overlap_minutes` more. */
export interface NewAddress {
  overlap_minutes?: number;
}

/** POST /api/users. */
export interface NewUser {
  name: string;
  password: string;
  role: "admin" | "trader" | "viewer";
}

/** POST /api/webhooks/{name}/add (trader, confirmed): a webhook with at least one mapping in `maps` or `csv`. */
export interface NewWebhook {
  sender: "amibroker" | "chartink" | "generic" | "tradingview";
  maps?: string[];
  csv?: string;
  mode?: "" | "BOTH" | "LONG" | "SHORT";
  window?: string;
  square_off?: string;
  positional?: boolean;
  secret?: boolean;
  signed?: boolean;
  ips?: string[];
  certificate?: string;
}

/** GET /api/performance: an operation of any process, durations in ms. */
export interface OperationRow {
  operation: string;
  count: number;
  errors: number;
  mean: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** GET /api/actions/order/{order}/{request}: waiting, scheduled (made when the exchange opens), refused, cancelled, */
export interface OrderActionResult {
  word: string;
  text: string;
}

/** Topic `orders`, by `id` (ours). */
export interface OrderRow {
  id: string;
  version: string;
  account: string;
  strategy: string;
  instrument: string;
  product: string;
  purpose: string;
  side: string;
  quantity: number;
  filled: number;
  order_type: string;
  state: string;
  live: boolean;
  unknown: boolean;
  price: number;
  trigger_price: number;
  average_price: number | null;
  broker_order_id: string;
  cause: string;
  reason: string;
  message: string;
  pending: string;
  waits: string;
  created_ms: number | null;
  updated_ms: number | null;
  parent: string;
  slices: number;
}

/** POST /api/paper (trader): run this strategy on paper money, beside this stack. */
export interface PaperTrialStart {
  strategy: string;
}

/** GET /api/paper: none, starting, running, stopping or failed; `address` is that of its own console. */
export interface PaperTrialState {
  state: string;
  strategy: string;
  address: string;
  error: string;
}

/** POST /api/strategies/{name}/parameters (trader): values by name, None takes one out of the file. Or a `version`. */
export interface ParameterDraft {
  values?: Record<string, string | number | boolean | null>;
  version?: string;
  expected?: string;
  save?: boolean;
}

/** POST /api/strategies/{name}/parameters: with `problems` nothing was written. `diff` is unified, by line; `notes` */
export interface ParameterDraftResult {
  file: string;
  saved: boolean;
  digest: string;
  versions: string[];
  diff: string[];
  problems: LegProblem[];
  notes: string[];
}

/** GET /api/strategies/{name}/parameters (trader): what the file of a strategy of code says, and which text it is. */
export interface ParameterFile {
  file: string;
  digest: string;
  values: Record<string, unknown>;
  versions: string[];
}

/** POST /api/password; all other sessions of the user end. */
export interface PasswordChange {
  password: string;
  new_password: string;
}

/** Topic `positions`, by `id`: open ones, and those closed today. `managed` False: units at the broker that no */
export interface PositionRow {
  id: string;
  version: string;
  account: string;
  strategy: string;
  run: string;
  instrument: string;
  product: string;
  managed: boolean;
  quantity: number;
  quantity_seen: number;
  average_price: number | null;
  ltp: number | null;
  unrealised: number | null;
  realised: number;
  stop: number | null;
  stop_wanted: number | null;
  stop_state: string;
  stop_distance: number | null;
  target: number | null;
  confidence: string;
  since_ms: number | null;
  covers: Record<string, number>;
  bare: number;
  expires_today: boolean;
}

/** A leg of a payoff: CE, PE, FUT or EQ, signed units at rupees each, years to its end, volatility (0.14 is 14 %). */
export interface PricedLeg {
  name: string;
  kind: string;
  units: number;
  price: number;
  strike?: number;
  years?: number;
  volatility?: number;
}

/** Topic `processes`, by `name`. */
export interface ProcessRow {
  name: string;
  state: string;
  ready: boolean;
  pid: number;
  restarts: number;
  lag_ms: number;
  queue_depth: number;
  handled: number;
  handler_p50_us: number;
  handler_p99_us: number;
  rss_mb: number;
  cpu_s: number;
  dropped: number;
  bad_frames: number;
  age_s: number | null;
  notes: string[];
  figures: Record<string, number>;
}

/** Topic `profit`, by its time: the day's profit in rupees, a point each five seconds. */
export interface ProfitPoint {
  at_ms: number;
  realised: number;
  unrealised: number;
}

/** The newest denial of the day of a strategy whose signals are refused; no entry followed it. */
export interface RefusedRow {
  rule: string;
  code: string;
  message: string;
  account: string;
  instrument: string;
  since_ms: number | null;
  last_ms: number | null;
  in_a_row: number;
  signals: number;
}

/** All that a report shows. `kind` names what it is of, such as `backtest`; `verdict` is one line in its tone. */
export interface Report {
  version: number;
  kind: string;
  title: string;
  heading?: string;
  subtitle?: string;
  verdict?: ReportValue | null;
  cards?: ReportCard[];
  notes?: string[];
  sections?: ReportSection[];
}

/** A figure at the head of a report. */
export interface ReportCard {
  name: string;
  value: ReportValue;
}

/** Panels over one axis. On a time axis `closed_hours` (from, to, of a day), weekends and `closed_days` (such as */
export interface ReportChart {
  type: "chart";
  title?: string;
  x?: "category" | "number" | "time";
  x_title?: string;
  x_unit?: "date" | "duration" | "integer" | "number" | "percent" | "price" | "rupees" | "text" | "time";
  panels?: ChartPanel[];
  series?: ChartSeries[];
  lines?: ChartLine[];
  height?: number;
  closed_hours?: unknown[] | null;
  closed_weekends?: boolean;
  closed_days?: string[];
  ranges?: boolean;
  first?: unknown[] | null;
  diverging?: boolean;
  reverse?: boolean;
}

/** GET /api/reports: a report of a backtest, search or check below `runs`; GET /api/reports/{id} is its content. */
export interface ReportEntry {
  id: string;
  kind: string;
  title: string;
  made_wall_ms: number;
}

/** A sentence between tables and charts. */
export interface ReportNote {
  type: "note";
  text: string;
}

/** Profit of legs by the underlying's price, at the first expiry among them and before; readers may move spot, */
export interface ReportPayoff {
  type: "payoff";
  underlying: string;
  spot: number;
  legs: PricedLeg[];
  years: number;
  rate: number;
  low: number;
  high: number;
}

/** Blocks under a title. */
export interface ReportSection {
  title: string;
  blocks: (ReportTable | ReportChart | ReportNote | ReportPayoff)[];
}

/** Rows under named columns; readers may sort them. `title` is a caption, empty: none. */
export interface ReportTable {
  type: "table";
  columns: TableColumn[];
  rows: ((string | number | ReportValue | null)[])[];
  title?: string;
}

/** A value with a unit or tone of its own, as a cell or a card. `digits` are decimals; None: those of the unit. */
export interface ReportValue {
  value: string | number | null;
  unit?: "date" | "duration" | "integer" | "number" | "percent" | "price" | "rupees" | "text" | "time";
  digits?: number | null;
  tone?: "" | "bad" | "good" | "warn";
}

/** What a lot of an underlying needs, in rupees, by the table that holds from `since` (ISO date) on: on the day of */
export interface RequirementRow {
  underlying: string;
  since: string;
  sold: number;
  sold_expiry: number;
  both_sold: number;
  both_sold_expiry: number;
  future: number;
  future_expiry: number;
  bought: number;
  units: number;
  lot: number | null;
  freeze: number | null;
  most_lots: number | null;
  lot_source: string;
}

/** GET /api/research: a run that waits, runs, or ended (done, failed, cancelled, interrupted), with its progress. */
export interface ResearchJob {
  id: string;
  kind: string;
  strategy: string;
  asked: string;
  by: string;
  state: string;
  asked_wall_ms: number;
  report: string;
  request: ResearchRequest;
  began_wall_ms: number | null;
  ended_wall_ms: number | null;
  share: number | null;
  progress: string;
  error: string;
  has_report: boolean;
}

/** POST /api/research (trader): a run over history; `parity` compares the stack's day `first` (empty: the newest) */
export interface ResearchRequest {
  request_id: string;
  kind: "backtest" | "check" | "optimize" | "parity" | "walk-forward";
  strategy: string;
  data: string[];
  first?: string;
  last?: string;
  instrument?: string;
  timeframe?: string;
  options?: string[];
  volatility?: string;
  capital?: number;
  lots?: number;
  parameters?: string[];
  objective?: string;
  method?: "" | "grid" | "nsga" | "random" | "tpe";
  trials?: number;
  train_days?: number;
  test_days?: number;
  workers?: number;
}

/** POST /api/actions/resolve: an order of unknown fate is `broker_order`, or was `not_placed`. Confirmed. */
export interface ResolveAction {
  request_id: string;
  order: string;
  version: string;
  broker_order?: string;
  not_placed?: boolean;
  force?: boolean;
  reason?: string;
}

/** POST /api/actions/resume. Role trader, confirmed. */
export interface ResumeAction {
  request_id: string;
  account?: string;
  reason?: string;
}

/** GET /api/risk/events?strategy=&limit=: a rule spoke. `threshold` and `value` are rupees of the run, a price of a */
export interface RiskEventRow {
  id: string;
  at_ms: number;
  strategy: string;
  run: string;
  kind: string;
  threshold: number;
  value: number;
  action: string;
  accounts: string[];
  instruments: string[];
  exit_orders: string[];
  note: string;
}

/** GET /api/actions/answer/{request}: the router's answer to a resolve or a claim, once there is one. */
export interface RouterAnswer {
  answered: boolean;
  ok: boolean;
  message: string;
}

/** GET /api/strategies/{name}/legs: keys of the file of a strategy of legs as it `running` has them, and as the file */
export interface RunningLegs {
  file: string;
  running: Record<string, unknown>;
  values: Record<string, unknown>;
  changed: string[];
}

/** What is held and left out of a scenario, since it cannot be priced. */
export interface ScenarioGap {
  instrument: string;
  units: number;
  reason: string;
}

/** GET /api/scenario?underlying=&days=: profit in rupees of the whole book (`underlying` empty, all move by the same */
export interface ScenarioTable {
  underlying: string;
  spots: Record<string, number>;
  days: number;
  spot_moves: number[];
  volatility_moves: number[];
  profit: number[][];
  positions: number;
  left_out: ScenarioGap[];
  last_known: string[];
  underlyings: string[];
  at_ms: number;
}

/** GET /api/sessions: one of them; an admin sees those of all users. */
export interface SessionEntry {
  id: string;
  user: string;
  current: boolean;
  created_wall_ms: number;
  seen_wall_ms: number;
  ends_wall_ms: number;
  ip: string;
  agent: string;
  viewers: number;
}

/** GET /api/session. `csrf` goes into the header X-CSRF-Token of every POST; it is new after each login. */
export interface SessionInfo {
  user: SessionUser | null;
  csrf: string;
  first_user: boolean;
  build: string;
  mode: string;
  profile: string;
}

/** User who is logged in. `confirmed_s`: for so many seconds actions that need the password again are allowed. */
export interface SessionUser {
  name: string;
  role: "admin" | "trader" | "viewer";
  totp: boolean;
  confirmed_s: number;
}

/** GET /api/settings: a value and where it comes from; secrets are masked. */
export interface SettingRow {
  name: string;
  value: string;
  origin: string;
}

/** Outcome of a signal in one account. */
export interface SignalAccount {
  account: string;
  result: string;
  orders: number;
  filled: number;
  reason: string;
}

/** A leg of a signal: the target in lots. */
export interface SignalLeg {
  instrument: string;
  lots: number;
}

/** Topic `signals`, by `id`, refused ones included. */
export interface SignalRow {
  id: string;
  strategy: string;
  watch: string;
  action: string;
  result: string;
  reason: string;
  price: number | null;
  denied: string[];
  accounts: SignalAccount[];
  legs: SignalLeg[];
  created_ms: number | null;
}

/** Topic `stack`, one row with the key "": mode, trading level, market session, profit of the day. */
export interface StackRow {
  profile: string;
  mode: string;
  system: string;
  quotes_of: string;
  speed: number;
  level: string;
  level_reason: string;
  level_by: string;
  level_ms: number | null;
  entries_closed: string;
  kill: string;
  ready: boolean;
  wrong_mode: string;
  limits_reached: string[];
  limits_off: string[];
  session: string;
  session_text: string;
  expiry_today: string[];
  feed_age_s: number | null;
  fresh: number;
  expected: number;
  realised: number;
  unrealised: number;
  quotes: number;
  bars: number;
  signals: number;
  orders_placed: number;
  orders_filled: number;
  orders_rejected: number;
  orders_unknown: number;
  denied: number;
  round_trips: number;
  quote_to_order_p50_ms: number | null;
  quote_to_order_p99_ms: number | null;
}

/** Topic `stops`, by `id`: a position and its stop. */
export interface StopRow {
  id: string;
  account: string;
  strategy: string;
  instrument: string;
  product: string;
  quantity: number;
  average_price: number;
  ltp: number | null;
  unrealised: number | null;
  stop: number | null;
  holder: string;
  distance: number | null;
  distance_share: number | null;
  at_risk: number | null;
}

/** Topic `strategies`, by name. */
export interface StrategyRow {
  name: string;
  kind: string;
  state: string;
  enabled: boolean;
  problem: string;
  waits: string;
  held: string;
  refused: RefusedRow | null;
  closes_ms: number | null;
  square_off: string;
  prices: Record<string, number | null>;
  watches: string[];
  parameters: Record<string, unknown>;
  realised: number;
  unrealised: number;
  positions: number;
  lots: number | null;
  switched_by: string;
  switched_reason: string;
  switched_ms: number | null;
}

/** A leg of a structure, with the prices at which its own rules close it. */
export interface StructureLeg {
  account: string;
  instrument: string;
  product: string;
  quantity: number;
  average_price: number;
  ltp: number | null;
  profit: number | null;
  stop_loss: number | null;
  take_profit: number | null;
  trailing: number | null;
}

/** POST /api/structure/margin: rupees for all of them, hedges counted, and the sum of each by itself; `after` is */
export interface StructureMargin {
  margin: number;
  separate: number;
  after: number[];
}

/** POST /api/structure/margin: legs held together, their underlying at `spot`. */
export interface StructureMarginRequest {
  legs: MarginOfLeg[];
  spot: number;
  product?: "MIS" | "NRML";
}

/** Topic `structures`, by `id`: a run of a strategy, its legs and what ends it. */
export interface StructureRow {
  id: string;
  strategy: string;
  run: string;
  profit: number | null;
  realised: number;
  max_loss: number | null;
  max_profit: number | null;
  peak: number | null;
  trailing_stop: number | null;
  trail_from: number | null;
  supertrend: string;
  leaving: string;
  opened_ms: number | null;
  closes_ms: number | null;
  delta: number | null;
  gamma: number | null;
  theta: number | null;
  vega: number | null;
  legs: StructureLeg[];
}

/** POST /api/actions/switch: entries of one strategy on or off. Role trader; confirmed to switch them on. */
export interface SwitchAction {
  request_id: string;
  strategy: string;
  enabled: boolean;
  reason?: string;
}

/** A column's name and the unit of its plain cells; with `signed` numbers above and below 0 are coloured. */
export interface TableColumn {
  name: string;
  unit?: "date" | "duration" | "integer" | "number" | "percent" | "price" | "rupees" | "text" | "time";
  digits?: number | null;
  signed?: boolean;
}

/** POST /api/totp/confirm. */
export interface TotpConfirm {
  totp: string;
}

/** POST /api/totp/begin: what an authenticator needs; counts once a code of it was confirmed. */
export interface TotpSecret {
  secret: string;
  uri: string;
  qr_svg: string;
  qr_size: number;
}

/** POST /api/risk/trial (trader): what would this order do? `lots` above 0 buy, below it sell; nothing is placed. */
export interface TrialRequest {
  strategy: string;
  instrument: string;
  lots: number;
  account?: string;
  order_type?: "LIMIT" | "MARKET" | "SL";
  limit_price?: number;
  trigger_price?: number;
  stop_price?: number;
  product?: "" | "CNC" | "MIS" | "NRML";
}

/** POST /api/risk/trial: what risk would say now. `exits`: it only reduces what is held, and is never judged. */
export interface TrialResult {
  exits: boolean;
  rules: TrialRule[];
  units: number;
  held: number;
  price: number;
  value: number;
  margin: number;
  margin_needed: number;
  margin_free: number | null;
  stop: number;
  stop_limit: number;
  stop_holder: string;
  at_risk: number | null;
}

/** A pre-trade rule and its answer: `denial` is empty if it lets the order pass; numbers where it compares some. */
export interface TrialRule {
  code: string;
  when: string;
  denial: string;
  value: number | null;
  limit: number | null;
  unknown: string;
}

/** GET /api/underlyings: an underlying with options, with its live expiries (ISO dates), nearest first. */
export interface UnderlyingRow {
  underlying: string;
  expiries: string[];
  lot: number;
}

/** POST /api/actions/unkill: remove the file KILL. Role trader, confirmed. */
export interface UnkillAction {
  request_id: string;
  reason?: string;
}

/** POST /api/users/{name}: a field that is None stays as it is. The user's sessions end. */
export interface UserChange {
  role?: "admin" | "trader" | "viewer" | null;
  disabled?: boolean | null;
  password?: string | null;
  reset_totp?: boolean;
}

/** GET /api/users. */
export interface UserEntry {
  name: string;
  role: "admin" | "trader" | "viewer";
  totp: boolean;
  disabled: boolean;
  created_wall_ms: number;
  last_login_wall_ms: number | null;
}

/** POST /api/webhooks/{name}/add or /rotate: the address with its token, shown this once; of a new webhook also its */
export interface WebhookAddress {
  name: string;
  url: string;
  secret: string;
  hmac_key: string;
  notes: string[];
  rows: CsvRow[];
}

/** POST /api/webhooks/{name} (trader, confirmed): fields that are not empty change. `csv` holds further */
export interface WebhookChange {
  mode?: "" | "BOTH" | "LONG" | "SHORT";
  window?: string;
  square_off?: string;
  csv?: string;
  preview?: boolean;
  locked?: boolean | null;
  maps?: string[];
  unmap?: string[];
}

/** POST /api/webhooks/{name}: `rows` only of a preview, or where lines are faulty and nothing was taken. */
export interface WebhookChanged {
  changed: boolean;
  rows: CsvRow[];
}

/** Mapping of a sender's symbol: `quantity` in units, or `lots`; `trade` is a contract chosen by its price. */
export interface WebhookMapping {
  symbol: string;
  instrument: string;
  product: string;
  quantity: number;
  lots: number;
  max_quantity: number;
  trade: string;
  legs: string[];
}

/** GET /api/webhooks (trader): one of them, without its address. `state` is OPEN, LOCKED or FAULTY. */
export interface WebhookRow {
  name: string;
  sender: string;
  mode: string;
  symbols: number;
  window: string;
  square_off: string;
  state: string;
  problem: string;
  token_made_wall_ms: number | null;
  old_token_until_wall_ms: number | null;
}

/** GET /api/webhooks/{name} (trader): its mappings, what it asks for besides its address, and texts by title to */
export interface WebhookView {
  name: string;
  url: string;
  symbols: WebhookMapping[];
  guards: string[];
  texts: Record<string, string>;
}

/** GET /api/why/{id}, /api/why?row=ID: a step of the chain behind an order, signal, goal, position, trade or alert. */
export interface WhyStep {
  at_ms: number;
  ms: number;
  step_ms: number;
  daemon: string;
  kind: string;
  what: string;
}

export type LiveMessage = LiveHello | LiveSnapshot | LiveDelta | LiveBeat | LiveRefused;

export type LiveRequest = LiveWatch | LiveAgain | LiveAlive;

export interface Topics {
  stack: StackRow;
  accounts: AccountRow;
  strategies: StrategyRow;
  orders: OrderRow;
  positions: PositionRow;
  trades: ClosedTradeRow;
  signals: SignalRow;
  lists: ListRow;
  alerts: AlertRow;
  limits: LimitRow;
  exposure: ExposureRow;
  stops: StopRow;
  structures: StructureRow;
  halts: HaltRow;
  needs: NeedRow;
  processes: ProcessRow;
  profit: ProfitPoint;
  log: LogRow;
}

export interface ChainTopics {
  chain: ChainLine;
  chainhead: ChainHead;
}
