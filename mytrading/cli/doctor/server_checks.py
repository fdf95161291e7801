"""Doctor's checks of the server over REST: reached, key known, broker behind it, mode, data, money. The mode is never
changed."""

from __future__ import annotations

import http.client
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.instruments import Known, fetch_master
from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import Deadline, NotSent, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, ReadFailed, SymbolNotFound, error_text
from mytrading.adapters.openalgo.rest.history import fetch_history, span_ns
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.cli.doctor.checks import Finding, Patient, failed, ok, skipped, warning
from mytrading.cli.shell.target import facts_of
from mytrading.core.bars.gaps import completeness
from mytrading.core.instruments.master_contract import need_of
from mytrading.core.instruments.symbology import split_id

SKEW_WARNING_S, SKEW_FAILED_S = 2.0, 30.0
ENOUGH = 0.9
_LOGIN = "log in to the broker on the OpenAlgo page; the session ends every night"
_LOG = "look at the server's log"


def server(patient: Patient) -> Finding:
    """Something answers at the address, as OpenAlgo does."""
    url = patient.config.venue.rest_url
    if not patient.has_server:
        return skipped("the simulator serves only while its stack runs", "`mytrading up`, or `--simulator`")
    try:
        answer = patient.client.call("ping", {}, Deadline.DATA)
    except NotSent as error:
        return failed(str(error), f"start the OpenAlgo server, or correct {_host(patient)} ({url})")
    except TransportFailed as error:
        return failed(f"{url}: {error}", "the server is up but does not answer: restart it, " + _LOG)
    if not answer.body.lstrip().startswith(b"{"):
        text = error_text(answer.body, answer.status)[:120]
        cure = f"that is not OpenAlgo's address: correct {_host(patient)}"
        return failed(f"{url} answered {answer.status}: {text}", cure)
    return ok(f"{url} answered in {(answer.ended_ns - answer.began_ns) / 1e6:.0f} ms")


def _host(patient: Patient) -> str:
    account = patient.account
    if account is None or patient.is_source:
        return "OPENALGO_API_HOST, or the address of the primary account"
    return f"it, `mytrading account edit {account.id} --host URL`"


def _right_key(patient: Patient) -> str:
    page = "copy the key of the server's API Key page"
    account = patient.account
    return (
        f"{page} into OPENALGO_API_KEY, or into the primary account"
        if account is None or patient.is_source
        else f"{page}, `mytrading account edit {account.id} --new-key`"
    )


def key(patient: Patient) -> Finding:
    """The server knows the key. It answers a wrong key and a missing broker session alike, except in a search."""
    try:
        pong = endpoints.ping(patient.client)
        return ok(f"the server knows it{f', broker {pong.broker}' if pong.broker else ''}")
    except TransportFailed as error:
        return failed(str(error), _LOG)
    except OpenAlgoError as error:
        refusal = error.message
    try:
        endpoints.search(patient.client, "SBIN", "NSE")
    except (OpenAlgoError, TransportFailed):
        return failed(f"the server says: {refusal}", f"{_right_key(patient)}; if it is that one, {_LOGIN}")
    return ok("the server knows it")


def session(patient: Patient) -> Finding:
    """The broker is behind the server: a quote cannot come from the server alone."""
    instrument = next(iter(patient.watched), "NSE_INDEX:NIFTY")
    exchange, symbol = split_id(instrument)
    try:
        endpoints.ping(patient.client)
        quote = endpoints.quote(patient.client, symbol, exchange)
    except SymbolNotFound as error:
        return warning(f"{instrument} has no quote: {error.message}", error.advice)
    except OpenAlgoError as error:
        return failed(f"there is none: {error.message}", _LOGIN)
    except TransportFailed as error:
        return failed(f"quote of {instrument}: {error}", _LOG)
    price = quote.ltp or quote.prev_close
    if price <= 0:
        return failed(f"quote of {instrument}: no price, with success", _LOGIN)
    return ok(f"{instrument} is at {price:g}")


def mode(patient: Patient) -> Finding:
    """The server is in the mode that the account is configured for."""
    expected = patient.config.venue.expected_mode.value
    try:
        found = endpoints.analyzer(patient.client).mode
    except (OpenAlgoError, TransportFailed) as error:
        return failed(f"the server does not say its mode: {error}", _LOG)
    if not patient.takes_orders:
        return ok(f"{found}, and it takes no orders")
    if found != expected:
        cure = f"switch the server to {expected} (its analyzer switch), or set TRADING_MODE; doctor changes neither"
        return failed(f"the server is in {found} mode, {expected} was expected", cure)
    return ok(f"{found}, as expected")


def clock(patient: Patient) -> Finding:
    """The two machines agree on the time, as far as the header of an answer tells it (whole seconds)."""
    url = urlsplit(patient.config.venue.rest_url)
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


def instruments(patient: Patient) -> Finding:
    """Today's contracts are there and in order: those of the stack that runs, else asked of the server."""
    day = patient.today
    store = InstrumentFile(patient.config.state)
    snapshot = store.snapshot()
    if not (patient.runs and snapshot.day == day.isoformat()):
        facts = facts_of(patient.config.home)
        need = need_of(patient.config, patient.watched, facts)
        known = Known(store.before(day.isoformat()))
        try:
            snapshot = fetch_master(patient.client, need, facts, day, patient.now, known)
        except (ReadFailed, TransportFailed) as error:
            return failed(str(error), "download the master contract on the OpenAlgo page")
    if snapshot.refusals:
        reasons = "; ".join(row.reason for row in snapshot.refusals[:3])
        cure = "download the master contract again, or correct `symbols` in config/strategies"
        return failed(f"{len(snapshot.refusals)} refused: {reasons}", cure)
    patient.snapshot = snapshot
    return ok(f"{len(snapshot.instruments)} of {snapshot.day}, in order")


def history(patient: Patient) -> Finding:
    """The last whole trading day's minutes of the first watched instrument."""
    instrument = next(iter(patient.watched), "NSE_INDEX:NIFTY")
    exchange = split_id(instrument)[0]
    if exchange not in patient.calendar.exchanges:
        return skipped(f"{exchange} has no sessions in config/calendar.toml")
    day = patient.calendar.previous_trading_day(exchange, patient.today)
    cure = "check that the broker's plan has history, or ENABLE_HISTORICAL_DATA=false"
    try:
        bars = fetch_history(patient.client, instrument, "1m", day, day, patient.now)
    except (ReadFailed, TransportFailed) as error:
        return failed(str(error), cure)
    whole = completeness(bars, patient.calendar, exchange, span_ns("1m"), day, day, patient.now)
    text = f"{whole.found} of {whole.expected} minutes of {instrument} on {day}"
    if not whole.found:
        return failed(text, cure)
    return ok(text) if whole.share >= ENOUGH else warning(text, "indicators begin with what is there")


def funds(patient: Patient) -> Finding:
    """The broker says how much is free."""
    try:
        answer = patient.client.call("funds", {}, Deadline.BOOK)
        book = book_parsers.parse_funds(answer, patient.config.venue.account, answer.ended_ns)
    except (ReadFailed, TransportFailed) as error:
        return failed(str(error), _LOGIN)
    if book.rows is None:
        return failed("; ".join(book.problems), _LOGIN)
    available = book.rows.available
    if available <= 0:
        return warning(f"₹{available:,.2f} free", "no entry can be paid for: add funds, or reset the sandbox")
    return ok(f"₹{available:,.2f} free, ₹{book.rows.used:,.2f} used")
