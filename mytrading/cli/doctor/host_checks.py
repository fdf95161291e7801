"""Doctor's checks of this machine: disk, ports, permissions, and the address it has towards the broker."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import stat
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from mytrading.cli.doctor.checks import Finding, Patient, failed, ok, skipped, warning
from mytrading.config.accounts import FILE as ACCOUNTS
from mytrading.config.key_vault import key_environment, key_file
from mytrading.runtime.host.paths import existing

GIB = 1 << 30
LONGEST_PATH = 100
"""A Unix socket's path holds 107 bytes."""
_PRIVATE = stat.S_IRWXG | stat.S_IRWXO


def disk(patient: Patient) -> Finding:
    """Free space where journals go, against the line below which entries halt."""
    folder = existing(patient.config.state)
    free, least = shutil.disk_usage(folder).free, patient.config.process.min_free_bytes
    text = f"{free / GIB:.1f} GiB free at {folder}, entries halt below {least / GIB:.1f}"
    cure = "free space, move MYTRADING_STATE_DIR to a larger disk, or lower MYTRADING_MIN_FREE_BYTES"
    if free < least:
        return failed(text, cure)
    return warning(text, cure) if free < 2 * least else ok(text)


def ports(patient: Patient) -> Finding:
    """What the stack would listen on is free, or held by the stack itself."""
    config = patient.config
    if patient.runs:
        return ok("held by the stack that runs")
    if len(config.runtime_dir) > LONGEST_PATH:
        cure = "set XDG_RUNTIME_DIR to a shorter folder"
        return failed(f"{config.runtime_dir} is too long for sockets ({LONGEST_PATH} bytes)", cure)
    address = config.messaging.bind_address
    wanted = dict(config.messaging.ports) if config.messaging.transport == "tcp" else {}
    if config.simulator.runs:
        wanted |= {"simulator REST": config.simulator.rest_port, "simulator WebSocket": config.simulator.ws_port}
    taken = [f"{name} {port}" for name, port in wanted.items() if port and not _is_free(address, port)]
    if taken:
        cure = "end what listens there (`ss -ltnp`), or choose others (ZMQ_BASE_PORT, …)"
        return failed(f"in use on {address}: {', '.join(taken)}", cure)
    return ok(f"{len(wanted)} free" if wanted else f"none needed: sockets in {config.runtime_dir}")


def _is_free(address: str, port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def permissions(patient: Patient) -> Finding:
    """What must be written can be, and what holds keys is for its owner alone."""
    config = patient.config
    folders = {
        config.state: "MYTRADING_STATE_DIR",
        Path(config.log_dir): "MYTRADING_LOG_DIR",
        Path(config.runtime_dir): "XDG_RUNTIME_DIR",
    }
    closed = {folder: name for folder, name in folders.items() if not os.access(existing(folder), os.W_OK | os.X_OK)}
    if closed:
        elsewhere = f"set {', '.join(closed.values())} to a folder that can be written"
        cure = f"give them to this user (uid {os.getuid()}), or {elsewhere}"
        return failed(f"cannot write to {', '.join(map(str, closed))}", cure)
    home = Path(config.home)
    keys = key_file(key_environment(home))
    secret = [home / ".env", home / ACCOUNTS, keys, config.state / "run.msgpack"]
    shown = [str(path) for path in secret if path.exists() and path.stat().st_mode & _PRIVATE]
    if shown:
        return warning(f"others may read {', '.join(shown)}", f"chmod 600 {' '.join(shown)}")
    if config.state.exists() and config.state.stat().st_mode & _PRIVATE:
        return warning(f"others may read {config.state}", f"chmod 700 {config.state}")
    return ok("state, logs and sockets can be written, keys are private")


def egress(patient: Patient) -> Finding:
    """The address that the broker would see is one it takes orders from."""
    from urllib.error import URLError
    from urllib.request import urlopen

    venue = patient.config.venue
    if not venue.registered_ips:
        return skipped("BROKER_REGISTERED_IPS names no address, so none was asked for")
    host = urlsplit(venue.rest_url).hostname or ""
    if not _is_here(host):
        cure = "run doctor on the server's host"
        return skipped(f"orders leave from {host}, not from this machine", cure)
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


def _is_here(host: str) -> bool:
    """True for loopback and for an address of this machine."""
    try:
        address = socket.gethostbyname(host)
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
