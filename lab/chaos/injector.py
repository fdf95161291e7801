"""Carries out a schedule against a running stack: signals by pid, faults by the simulator's own routes, all noted down.

A process is only ever reached by the pid that holds its lock at that moment, and whatever was stopped, starved or
slowed here is let go at the end, whatever happened in between.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from lab.chaos.environment import Ground
from lab.chaos.host_pauses import PAUSE, Running
from lab.chaos.operator import Person
from lab.chaos.order_audit import BY_HAND
from lab.chaos.schedule import SIMULATOR, SUPERVISOR, Act, Kind
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.control import SupervisorFailed

_STEP_S = 0.02
_ADMIN_S = 2.0
_CALMS_S = 7.0
_MENDS_S = 20.0
_HOGS = 2
_UP_AGAIN_S = (3.0, 8.0)
NOTHING = Act(0.0, Kind.CALM)
_SPIN = "import time\nuntil = time.monotonic() + {seconds}\nwhile time.monotonic() < until:\n    pass\n"


class Breaker:
    """One run of a schedule; `log` is a JSONL file of what was done when, by machine time."""

    def __init__(self, ground: Ground, log: Path, progress: Callable[[str], None]) -> None:
        self._stack = ground.stack
        self._ground = ground
        self._person = Person(ground.stack, self._note)
        self._progress = progress
        self._file = log.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._stopped: set[int] = set()
        self._hiss: dict[str, tuple[dict[str, Any], ...]] = {}
        self._hogs: list[subprocess.Popen[bytes]] = []
        self._helpers: list[threading.Thread] = []
        self.done = 0

    def run(self, acts: tuple[Act, ...], seconds: float) -> None:
        """Carry out all acts, and end when `seconds` are over; everything is let go afterwards."""
        running = Running()
        waiting = list(acts)
        try:
            while (now := running.seconds()) < seconds:
                while waiting and waiting[0].at <= now:
                    self._carry_out(waiting.pop(0))
                self._what_is_due()
                time.sleep(_STEP_S)
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Continue what is stopped, end the hogs, switch all faults off."""
        for pid in tuple(self._stopped):
            self._continue(pid)
        self._due.clear()
        if self._ground.disk is not None:
            self._ground.disk.free()
        for hog in self._hogs:
            hog.kill()
            hog.wait()
        self._hogs.clear()
        self._calm()
        for helper in self._helpers:
            helper.join(_MENDS_S + _CALMS_S)

    def decide(self) -> None:
        """Have the operator decide once more on the orders that the server holds for approval."""
        self._person.decide()

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    def note_pause(self, began_ns: int, seconds: float) -> None:
        """The machine itself stood still from then on, for so long."""
        self._note(PAUSE, "", began_ns=began_ns, paused_s=round(seconds, 2))

    def mend(self) -> list[str]:
        """Start what stays down; returns the programs that supervisor had given up, with their last words."""
        if not control.supervisor_pid(self._stack.config.state):
            self._note("revived", SUPERVISOR)
            with suppress(SupervisorFailed):
                self._stack.restart_supervisor()
        given_up = []
        for name, program in control.programs(self._stack.config).items():
            if program.state in ("RUNNING", "STARTING", "BACKOFF"):
                continue
            if program.state == "FATAL" or program.exit_code == 78:
                given_up.append(f"{name}: {control.last_output(self._stack.config, name)}")
            self._note("started", name, was=program.state)
            self._begin(name)
        return given_up

    # acts

    def _carry_out(self, act: Act) -> None:
        self.done += 1
        if act.kind is Kind.FAULT:
            self._beside(self._fault, act)
        elif act.kind is Kind.CALM:
            self._calm(act)
        elif act.kind is Kind.BY_HAND:
            self._beside(self._by_hand, act)
        elif act.kind is Kind.PERSON:
            self._beside(self._person.act, act.target, act.pick)
        elif act.kind is Kind.STARVE:
            self._starve(act)
        elif act.kind is Kind.DISK:
            self._fill_disk(act)
        elif pid := self._pid(act):
            self._to_process(act, pid)
        else:
            self._note("missed", act.target, wanted=act.kind.value)

    def _to_process(self, act: Act, pid: int) -> None:
        self._note(act.kind.value, act.target, pid=pid, seconds=round(act.seconds, 2), account=act.account)
        if act.kind is Kind.KILL:
            _signal(pid, signal.SIGKILL)
            self._stopped.discard(pid)
            if act.target == SIMULATOR:
                self._hiss_again(act.account)
        elif act.kind in (Kind.HANG, Kind.LEAVE):
            self._stop_for(pid, act.seconds + (5.0 if act.kind is Kind.LEAVE else 0.0))
        elif act.kind is Kind.STUTTER:
            self._stutter(pid, act.seconds)
        elif act.kind is Kind.NICE:
            self._slow(pid, act.seconds)
        elif act.account in self._ground.servers:
            _signal(pid, signal.SIGTERM)
        else:
            self._beside(self._restart, act.target, act.account)

    def _beside(self, do: Callable[..., None], *arguments: Any) -> None:
        """Carry out what waits for an answer without holding up the schedule."""
        helper = threading.Thread(target=do, args=arguments, daemon=True)
        helper.start()
        self._helpers = [*(known for known in self._helpers if known.is_alive()), helper]

    def _hiss_again(self, account: str) -> None:
        """A simulator that comes up again has no faults: what goes on between storms too is switched on again."""
        for seconds in _UP_AGAIN_S:
            for row in self._hiss.get(account, ()):
                act = Act(0.0, Kind.FAULT, fault=row, account=account)
                self._later(seconds, partial(self._beside, self._fault, act))

    def _stop_for(self, pid: int, seconds: float) -> None:
        if _signal(pid, signal.SIGSTOP):
            self._stopped.add(pid)
            self._later(seconds, lambda: self._continue(pid))

    def _continue(self, pid: int) -> None:
        if pid in self._stopped:
            self._stopped.discard(pid)
            _signal(pid, signal.SIGCONT)

    def _stutter(self, pid: int, seconds: float) -> None:
        """Stopped for a tenth of a second in every fifth of one."""
        for number in range(max(1, round(seconds / 0.2))):
            self._later(number * 0.2, lambda: self._stop_for(pid, 0.1))

    def _slow(self, pid: int, seconds: float) -> None:
        with suppress(ProcessLookupError, PermissionError):
            before = os.getpriority(os.PRIO_PROCESS, pid)
            os.setpriority(os.PRIO_PROCESS, pid, 19)
            self._later(seconds, lambda: _priority(pid, before))

    def _starve(self, act: Act) -> None:
        self._note(act.kind.value, "", seconds=round(act.seconds, 2))
        command = [sys.executable, "-c", _SPIN.format(seconds=act.seconds)]
        self._hogs += [subprocess.Popen(command) for _ in range(_HOGS)]
        self._hogs = [hog for hog in self._hogs if hog.poll() is None]

    def _fill_disk(self, act: Act) -> None:
        if (disk := self._ground.disk) is not None:
            self._note(act.kind.value, "", seconds=round(act.seconds, 2))
            self._progress(f"disk full for {act.seconds:.0f} s")
            disk.fill()
            self._later(act.seconds, disk.free)

    def _restart(self, name: str, account: str) -> None:
        with suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
            control.connect(self._stack.config).supervisor.stopProcess(name)
        self._begin(name)
        self._note("restarted", name, account=account)

    def _begin(self, name: str) -> None:
        """Have supervisor start a program; one that already runs is as good."""
        until = time.monotonic() + _MENDS_S
        while time.monotonic() < until:
            try:
                control.connect(self._stack.config).supervisor.startProcess(name, False)
                return
            except xmlrpc.client.Fault as fault:
                if "ALREADY_STARTED" in fault.faultString:
                    return
            except (OSError, http.client.HTTPException, xmlrpc.client.Error):
                pass
            time.sleep(0.2)

    def _fault(self, act: Act) -> None:
        taken = self._admin("fault", act.fault, act.account)
        self._note(Kind.FAULT.value, act.fault["kind"], fault=act.fault, confirmed=taken, account=act.account)

    def _by_hand(self, act: Act) -> None:
        """Buy a few shares of a traded symbol at the broker, as an operator would by hand."""
        exchange, _, symbol = act.target.partition(":")
        order = {"strategy": BY_HAND, "symbol": symbol, "exchange": exchange, "action": "BUY", "quantity": "7"}
        began = machine_now()
        taken = self._call("/api/v1/placeorder", {**order, "pricetype": "MARKET", "product": "MIS"}, act.account)
        self._note(Kind.BY_HAND.value, act.target, began_ns=began, confirmed=taken, account=act.account)

    def _calm(self, act: Act = NOTHING) -> None:
        """End all faults but those of `act`, log in to the brokers, and resume the halts as an operator would."""
        for account in self._ground.books:
            rows = act.rows if account == act.account else ()
            self._beside(self._calm_down, account, rows)
        self._beside(self._person.look)

    def _calm_down(self, account: str, rows: tuple[dict[str, Any], ...]) -> None:
        until = time.monotonic() + _CALMS_S
        calm = False
        while not calm and time.monotonic() < until:
            calm = self._admin("fault", {"kind": "clear"}, account) and self._admin("login", {}, account)
            time.sleep(_STEP_S)
        self._note(Kind.CALM.value, "", confirmed=calm, account=account)
        self._hiss[account] = rows
        for row in rows:
            self._fault(Act(0.0, Kind.FAULT, fault=row, account=account))

    def _admin(self, route: str, fields: dict[str, Any], account: str) -> bool:
        return self._call(f"/sim/{route}", fields, account)

    def _call(self, path: str, fields: dict[str, Any], account: str) -> bool:
        served = self._stack.config.order_accounts
        server = next((one for one in served if one.id == account), served[0])
        body = json.dumps({"apikey": server.api_key, **fields}).encode()
        request = Request(f"{server.rest_url}{path}", body, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=_ADMIN_S) as answer:
                answer.read()
        except (URLError, OSError, http.client.HTTPException):
            return False
        return True

    # means

    def _pid(self, act: Act) -> int:
        config, name = self._stack.config, act.target
        if act.account in self._ground.servers:
            return self._ground.servers[act.account].pid
        if name == SUPERVISOR:
            return control.supervisor_pid(config.state)
        return control.running_pids(config).get(name, 0)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + seconds, do))

    def _what_is_due(self) -> None:
        now = time.monotonic()
        ready = [do for at, do in self._due if at <= now]
        self._due = [(at, do) for at, do in self._due if at > now]
        for do in ready:
            do()

    def _note(self, act: str, target: str, **fields: Any) -> None:
        row = {"at_ns": machine_now(), "act": act, "target": target, **fields}
        with self._lock:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        if act in (Kind.KILL.value, Kind.LEAVE.value):
            self._progress(f"{act} {target}")


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _priority(pid: int, value: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, value)
