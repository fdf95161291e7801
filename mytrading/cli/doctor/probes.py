"""Doctor's probes of this machine, of the server over REST, and of its streams.

The mode is never changed. Of a stack that runs, its own feed and order stream are checked: a second connection could
disturb them.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from datetime import time as clock
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.instruments import EarlierSnapshots, fetch_master
from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import Deadline, NotSent, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, RateLimited, ReadFailed, SymbolNotFound, error_text
from mytrading.adapters.openalgo.rest.history import interval_ns
from mytrading.adapters.openalgo.rest.proven_history import HistoryRefused, ProvenHistory
from mytrading.adapters.openalgo.ws.connection import Connected, Disconnected, FeedSocket, SocketFrame, SocketRefused
from mytrading.adapters.storage.instrument_store import AcceptedFile, InstrumentFile
from mytrading.cli.doctor.checks import CheckContext, Finding, cure_for, failed, ok, skipped, warning
from mytrading.cli.shell.output import daemon_figures
from mytrading.cli.shell.target import load_contract_facts
from mytrading.config.accounts import FILE as ACCOUNTS
from mytrading.config.key_vault import key_environment, key_file
from mytrading.config.problems import ConfigurationError
from mytrading.core.bars.gaps import measure_completeness
from mytrading.core.calendar.empty_years import empty_year_notes
from mytrading.core.instruments.master_contract import instruments_needed
from mytrading.core.instruments.symbology import split_id
from mytrading.core.instruments.table_checks import TableCheck
from mytrading.core.time import MINUTE, format_ist, ist_date, to_ns
from mytrading.messages.brokers import UNLISTED, HistoryRules, find_broker
from mytrading.orchestrator import NotRunning
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.paths import nearest_existing
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut

SKEW_WARNING_S, SKEW_FAILED_S = 2.0, 30.0
ENOUGH = 0.9
_ASKED_FROM, _ASKED_AFTER_NS = clock(9, 45), 30 * MINUTE
_HISTORY_LAG_NS = 3 * MINUTE
"""History may have a minute so much later."""
_LOGIN = "log in to the broker on the OpenAlgo page; the session ends every night"
_LOG = "look at the server's log"

# this machine
GIB = 1 << 30
LONGEST_PATH = 100
"""A Unix socket's path holds 107 bytes."""
_PRIVATE = stat.S_IRWXG | stat.S_IRWXO


def check_disk(context: CheckContext) -> Finding:
    """Check the free disk space for journals against the minimum below which new entries are halted."""
    folder = nearest_existing(context.config.state)
    free, least = shutil.disk_usage(folder).free, context.config.process.min_free_bytes
    text = f"{free / GIB:.1f} GiB free at {folder}, entries halt below {least / GIB:.1f}"
    cure = "free space, move MYTRADING_STATE_DIR to a larger disk, or lower MYTRADING_MIN_FREE_BYTES"
    if free < least:
        return failed(text, cure)
    return warning(text, cure) if free < 2 * least else ok(text)


def check_calendar(context: CheckContext) -> Finding:
    """Check that somebody has listed the holidays of this year, and from December on of the next."""
    today = ist_date(context.now)
    try:
        notes = empty_year_notes(context.calendar, today)
    except ConfigurationError as error:
        return failed(str(error), "mend the file; meanwhile daemons go on by what they accepted last, if they did")
    years = " and ".join(str(year) for year in ((today.year, today.year + 1) if today.month == 12 else (today.year,)))
    if not notes:
        return ok(f"config/calendar.toml lists holidays of {years}")
    return warning("; ".join(notes), "until then `mytrading calendar` says which days and expiries are provisional")


def check_ports(context: CheckContext) -> Finding:
    """Check that the stack's ports are free, or in use by the stack itself."""
    config = context.config
    if context.is_running:
        return ok("held by the stack that runs")
    if len(config.runtime_dir) > LONGEST_PATH:
        cure = "set XDG_RUNTIME_DIR to a shorter folder"
        return failed(f"{config.runtime_dir} is too long for sockets ({LONGEST_PATH} bytes)", cure)
    address = config.messaging.bind_address
    wanted = dict(config.messaging.ports) if config.messaging.transport == "tcp" else {}
    if config.simulator.runs_simulator:
        wanted |= {"simulator REST": config.simulator.rest_port, "simulator WebSocket": config.simulator.ws_port}
    taken = [f"{name} {port}" for name, port in wanted.items() if port and not _is_free(address, port)]
    if taken:
        cure = "end what listens there (`ss -ltnp`), or choose others (ZMQ_BASE_PORT, …)"
        return failed(f"in use on {address}: {', '.join(taken)}", cure)
    return ok(f"{len(wanted)} free" if wanted else f"none needed: sockets in {config.runtime_dir}")


def _is_free(address: str, port: int) -> bool:
    """True if this machine has the address, and nothing listens there; port 0 is any."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((socket.gethostbyname(address), port))
        except OSError:
            return False
    return True


def check_permissions(context: CheckContext) -> Finding:
    """Check that the stack can write its folders, and that only the owner can read files with keys."""
    config = context.config
    folders = {
        config.state: "MYTRADING_STATE_DIR",
        Path(config.log_dir): "MYTRADING_LOG_DIR",
        Path(config.runtime_dir): "XDG_RUNTIME_DIR",
    }
    needed = os.W_OK | os.X_OK
    closed = {path: name for path, name in folders.items() if not os.access(nearest_existing(path), needed)}
    if closed:
        elsewhere = f"set {', '.join(closed.values())} to a folder that can be written"
        cure = f"give them to this user (uid {os.getuid()}), or {elsewhere}"
        return failed(f"cannot write to {', '.join(map(str, closed))}", cure)
    home = Path(config.home)
    secret = [home / ".env", home / ACCOUNTS, key_file(key_environment(home)), config.state / "run.msgpack"]
    shown = [str(path) for path in secret if path.exists() and path.stat().st_mode & _PRIVATE]
    if shown:
        return warning(f"others may read {', '.join(shown)}", f"chmod 600 {' '.join(shown)}")
    if config.state.exists() and config.state.stat().st_mode & _PRIVATE:
        return warning(f"others may read {config.state}", f"chmod 700 {config.state}")
    return ok("state, logs and sockets can be written, keys are private")


def check_egress_address(context: CheckContext) -> Finding:
    """Check that this machine's public IP address is among those registered with the broker for orders."""
    from urllib.error import URLError
    from urllib.request import urlopen

    venue = context.config.venue
    if not venue.registered_ips:
        return skipped("BROKER_REGISTERED_IPS names no address, so none was checked")
    host = urlsplit(venue.rest_url).hostname or ""
    if not _is_free(host, 0):
        return skipped(f"orders leave from {host}, not from this machine", "run doctor on the server's host")
    try:
        with urlopen(venue.egress_url, timeout=5) as answer:
            found = str(ipaddress.ip_address(answer.read(100).decode().strip()))
    except (URLError, OSError, ValueError) as error:
        return warning(f"{venue.egress_url} did not give it: {error}", "set EGRESS_CHECK_URL to another")
    if found not in venue.registered_ips:
        registered = ", ".join(venue.registered_ips)
        cure = "register it at the broker (weekly at most), or route orders through a registered one"
        return failed(f"orders would come from {found}, registered are {registered}", cure)
    return ok(f"{found} is registered")


# the server
def check_server(context: CheckContext) -> Finding:
    """Check that an OpenAlgo server answers at the configured address."""
    url, account = context.config.venue.rest_url, context.account
    setting = "OPENALGO_API_HOST, or the address of the primary account"
    if account is not None and not context.is_quote_source:
        setting = f"it, `mytrading account edit {account.id} --host URL`"
    if not context.has_server:
        return skipped("the simulator serves only while its stack runs", "`mytrading up`, or `--simulator`")
    try:
        answer = context.client.call("ping", {}, Deadline.DATA)
    except NotSent as error:
        return failed(str(error), f"start the OpenAlgo server, or correct {setting} ({url})")
    except TransportFailed as error:
        return failed(f"{url}: {error}", "the server is up but does not answer: restart it, " + _LOG)
    if not answer.body.lstrip().startswith(b"{"):
        text = error_text(answer.body, answer.status)[:120]
        cure = f"that is not OpenAlgo's address: correct {setting}"
        return failed(f"{url} answered {answer.status}: {text}", cure)
    return ok(f"{url} answered in {(answer.ended_ns - answer.began_ns) / 1e6:.0f} ms")


def check_api_key(context: CheckContext) -> Finding:
    """Check the API key, telling a wrong key from a missing broker session by a search, which needs no session."""
    try:
        pong = endpoints.ping(context.client)
        return ok(f"the server knows it{f', broker {pong.broker}' if pong.broker else ''}")
    except TransportFailed as error:
        return failed(str(error), _LOG)
    except OpenAlgoError as error:
        refusal = error.message
    try:
        endpoints.search(context.client, "SBIN", "NSE")
    except (OpenAlgoError, TransportFailed) as error:
        setting = " into OPENALGO_API_KEY, or into the primary account"
        if context.account is not None and not context.is_quote_source:
            setting = f", `mytrading account edit {context.account.id} --new-key`"
        cure = f"copy the key of the server's API Key page{setting}; if it is that one, {_LOGIN}"
        return failed(f"the server says: {refusal}", cure_for(error, cure))
    return ok("the server knows it")


def check_broker_session(context: CheckContext) -> Finding:
    """Check by a quote, which only the broker can give, that the server is logged in at the broker."""
    instrument = context.first_instrument
    exchange, symbol = split_id(instrument)
    try:
        endpoints.ping(context.client)
        quote = endpoints.quote(context.client, symbol, exchange)
    except SymbolNotFound as error:
        return warning(f"{instrument} has no quote: {error.message}", error.advice)
    except RateLimited as error:
        return failed(f"the server takes no more calls for now: {error.message}", cure_for(error, _LOGIN))
    except OpenAlgoError as error:
        return failed(f"there is none: {error.message}", _LOGIN)
    except TransportFailed as error:
        return failed(f"quote of {instrument}: {error}", _LOG)
    price = quote.ltp or quote.prev_close
    if price <= 0:
        return failed(f"quote of {instrument}: no price, with success", _LOGIN)
    return ok(f"{instrument} is at {price:g}")


def check_server_mode(context: CheckContext) -> Finding:
    """Check that the server is in the mode (live or analyze) that the account is configured for."""
    expected = context.config.venue.expected_mode.value
    try:
        found = endpoints.analyzer(context.client).mode
    except (OpenAlgoError, TransportFailed) as error:
        return failed(f"the server does not say its mode: {error}", _LOG)
    if not context.takes_orders:
        return ok(f"{found}, and it takes no orders")
    if found != expected:
        cure = f"switch the server to {expected} (its analyzer switch), or set TRADING_MODE; doctor changes neither"
        return failed(f"the server is in {found} mode, {expected} was expected", cure)
    return ok(f"{found}, as expected")


def check_clock_skew(context: CheckContext) -> Finding:
    """Check that this machine's clock agrees with the server's HTTP Date header (whole seconds).

    The clock of a simulator in its place is reported as a warning: no other clock is looked at then.
    """
    if path := context.config.simulator.clock:
        moment = format_ist(context.now, "%a %d %b %Y %H:%M:%S")
        return warning(
            f"market time is that of the simulator with the clock file {path}: {moment} IST",
            "for tests only: remove SIMULATOR_CLOCK before this stack meets a broker",
        )
    url = urlsplit(context.config.venue.rest_url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=5)
    try:
        began = time.time()
        connection.request("GET", f"{url.path.rstrip('/')}/api/v1/")
        date = connection.getresponse().getheader("Date")
        ended = time.time()
    except (OSError, http.client.HTTPException) as error:
        return failed(f"no answer: {error}", _LOG)
    finally:
        connection.close()
    if not date:
        return skipped("the server's answers carry no date")
    there = parsedate_to_datetime(date).timestamp()
    skew = max(there - ended, began - (there + 1), 0.0)
    text = f"{skew:.1f} s between the server and this machine"
    cure = "let both set their clocks by NTP (`timedatectl set-ntp true`)"
    if skew >= SKEW_FAILED_S:
        return failed(text, cure)
    return warning(text, cure) if skew >= SKEW_WARNING_S else ok(f"less than {skew + 1:.0f} s")


def check_instruments(context: CheckContext) -> Finding:
    """Check that today's contracts, of the running stack or else of the server, are complete and valid."""
    day = ist_date(context.now)
    store = InstrumentFile(context.config.state)
    snapshot = store.snapshot()
    if not (context.is_running and snapshot.day == day.isoformat()):
        facts = load_contract_facts(context.config.home)
        need = instruments_needed(context.config, context.watched_instruments, facts)
        known = EarlierSnapshots(store.newest_before(day.isoformat()))
        try:
            table = TableCheck(facts, context.calendar, AcceptedFile(context.config.state).keys())
            snapshot = fetch_master(context.client, need, table, day, context.now, known)
        except (ReadFailed, TransportFailed) as error:
            return failed(str(error), cure_for(error, "download the master contract on the OpenAlgo page"))
    if snapshot.refusals:
        reasons = "; ".join(row.reason for row in snapshot.refusals[:3])
        cure = "download the master contract again, or correct `symbols` in config/strategies"
        return failed(f"{len(snapshot.refusals)} refused: {reasons}", cure)
    context.snapshot = snapshot
    parts = [f"{len(snapshot.instruments)} of {snapshot.day}, in order"]
    if snapshot.unchecked:
        parts.append(f"lots and ticks of {', '.join(snapshot.unchecked)} are not in config/instruments.toml, unchecked")
    parts += [f"accepted by an operator: {text}" for text in snapshot.accepted]
    return ok("; ".join(parts))


def check_history(context: CheckContext) -> Finding:
    """Check that the server has all minute bars of the first watched instrument, at the right minutes: of today from
    09:45 on while its exchange is open, else of the previous trading day."""
    instrument = context.first_instrument
    exchange = split_id(instrument)[0]
    if exchange not in context.calendar.exchanges:
        return skipped(f"{exchange} has no sessions in config/calendar.toml")
    rules = _history_rules(context)
    if not rules.available:
        text = "the broker has no history: strategies enter once their look-back is there from live bars"
        return warning(text, "ENABLE_HISTORICAL_DATA=false lets them enter without it")
    cure = "check that the broker's plan has history, or ENABLE_HISTORICAL_DATA=false"
    history = ProvenHistory(
        context.client, context.calendar, lambda: None, machine_now, lambda: rules,
        lambda: (instrument, *context.watched_instruments),
    )  # fmt: skip
    day, now = _day_of_history(context, exchange), context.now
    try:
        bars = history.fetch(instrument, "1m", day, day, now).bars
    except HistoryRefused as error:
        return failed(str(error), "correct the server, or ENABLE_HISTORICAL_DATA=false")
    except (ReadFailed, TransportFailed) as error:
        return failed(str(error), cure_for(error, cure))
    upto = now - _HISTORY_LAG_NS
    whole = measure_completeness(bars, context.calendar, exchange, interval_ns("1m"), day, day, upto)
    text = f"{whole.found} of {whole.expected} minutes of {instrument} on {day}"
    if not whole.found:
        return failed(text, cure)
    return ok(text) if whole.found_share >= ENOUGH else warning(text, "entries that look back over a hole are denied")


def _history_rules(context: CheckContext) -> HistoryRules:
    """The history row of the broker that the server's ping names, in analyze mode too."""
    try:
        return find_broker(context.config.brokers, endpoints.ping(context.client).broker).history
    except (OpenAlgoError, TransportFailed):
        return UNLISTED.history


def _day_of_history(context: CheckContext, exchange: str) -> date:
    """The day whose minutes are asked for: today once the session is half an hour old, and not before 09:45."""
    now, today = context.now, ist_date(context.now)
    session = context.calendar.session(exchange, today)
    since = max(session.open_ns + _ASKED_AFTER_NS, to_ns(today, _ASKED_FROM)) if session is not None else 0
    if session is not None and since <= now < session.close_ns:
        return today
    return context.calendar.previous_trading_day(exchange, today)


def check_funds(context: CheckContext) -> Finding:
    """Check that the broker reports the free funds of the account."""
    try:
        answer = context.client.call("funds", {}, Deadline.BOOK)
        book = book_parsers.parse_funds(answer, context.config.venue.account, answer.ended_ns)
    except (ReadFailed, TransportFailed) as error:
        return failed(str(error), cure_for(error, _LOGIN))
    if book.rows is None:
        return failed("; ".join(book.problems), _LOGIN)
    available = book.rows.available
    if available <= 0:
        return warning(f"₹{available:,.2f} free", "no entry can be paid for: add funds, or reset the sandbox")
    return ok(f"₹{available:,.2f} free, ₹{book.rows.used:,.2f} used")


TICK_S = 10.0
FEED_S = 60.0
"""A stack that has just started on a busy machine; most tick at once, and nothing is waited for then."""
HURRIED_S = 3.0
"""Seconds that a start waits for a tick."""


def check_websocket(context: CheckContext) -> Finding:
    """Check that a tick arrives, or outside the session that the server acknowledges a subscription."""
    if context.is_running:
        return _feed_of_stack(context)
    instrument = context.first_instrument
    exchange, symbol = split_id(instrument)
    wanted = {"action": "subscribe", "symbols": [{"symbol": symbol, "exchange": exchange}], "mode": "Quote"}
    is_open = context.is_open(exchange)
    found = _converse(context, wanted, lambda body: body.get("type") == ("market_data" if is_open else "subscribe"))
    if isinstance(found, str):
        return failed(found, "check OPENALGO_WS_HOST and OPENALGO_WS_PORT, and the server's WebSocket proxy")
    if found is None:
        cure = "log in to the broker; restart the server's WebSocket proxy if that does not help"
        return failed(f"connected, but {instrument} gave nothing within {_wait_s(context):g} s", cure)
    if not is_open:
        if found.get("status") == "error":
            reason = found.get("message", "no reason given")
            return failed(f"{instrument}: {reason}", "check the symbol and today's master contract")
        text = f"{instrument} is acknowledged; {exchange} is closed, so no tick was awaited"
        return warning(text, "repeat it in the session")
    return ok(f"{instrument} ticked at {found.get('data', {}).get('ltp', '?')}")


def check_order_stream(context: CheckContext) -> Finding:
    """Check that the server accepts a subscription to order updates."""
    if context.is_running:
        figures = _figures(context, "reconciler")
        if figures.get("stream_up"):
            return ok(f"up, {figures.get('order_updates', 0):g} updates so far")
        return warning("down", "the books are read instead; see `mytrading alerts`")
    found = _converse(context, {"action": "subscribe_orders"}, lambda body: body.get("type") == "subscribe_orders")
    if isinstance(found, dict) and found.get("status") == "success":
        return ok("subscribed")
    text = found if isinstance(found, str) else str((found or {}).get("message", "no answer"))
    return warning(text, "update the server; until then the books are read instead")


def _feed_of_stack(context: CheckContext) -> Finding:
    deadline = time.monotonic() + FEED_S
    exchange = split_id(context.first_instrument)[0]
    while True:
        figures = _figures(context, "feed")
        quotes = figures.get("quotes_in", 0.0)
        text = f"{figures.get('fresh', 0):g} of {figures.get('expected', 0):g} tick"
        if quotes and figures.get("coverage", 0.0) >= ENOUGH:
            return ok(f"{text}, {quotes:g} quotes so far")
        if time.monotonic() > deadline or not context.is_open(exchange):
            break
        time.sleep(0.2)
    if not context.is_open(exchange):
        return warning(f"{text}; {exchange} is closed", "repeat it in the session")
    cure = "see `mytrading alerts` and `mytrading logs feed`"
    return warning(text, cure) if quotes else failed("no quote so far", cure)


def _figures(context: CheckContext, daemon: str) -> dict[str, float]:
    try:
        return daemon_figures(context.stack.status(), daemon)
    except (NotRunning, OpsTimedOut, OpsRefused):
        return {}


def _converse(
    context: CheckContext, request: dict[str, Any], is_answer: Callable[[dict[str, Any]], bool]
) -> dict[str, Any] | str | None:
    """The answer to a request on a socket of its own; a text if there is no connection, None if nothing came."""
    rung = threading.Event()
    venue = context.config.venue
    connection = FeedSocket(venue.ws_url, venue.api_key, machine_now, rung.set)
    connection.start()
    deadline = time.monotonic() + _wait_s(context)
    try:
        while (left := deadline - time.monotonic()) > 0:
            rung.wait(left)
            rung.clear()
            for event in connection.drain():
                if isinstance(event, Connected):
                    connection.send(request)
                elif isinstance(event, Disconnected):
                    return f"{venue.ws_url}: {event.reason}"
                elif isinstance(event, SocketRefused):
                    return f"{venue.ws_url}: {event.code}: {event.message}"
                elif isinstance(event, SocketFrame) and is_answer(body := _decoded(event.data)):
                    return body
        return None
    finally:
        connection.stop()


def _wait_s(context: CheckContext) -> float:
    return min(TICK_S, HURRIED_S) if context.hurried else TICK_S


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
