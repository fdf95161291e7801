"""`python -m mytrading.simulator`: options from the command line, then `run`. Exit 2 for unusable options."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from mytrading.simulator.faults.registry import fault_table, parse_fault_option, read_fault_file
from mytrading.simulator.main import run
from mytrading.simulator.settings.options import SimulatorOptions


def parser() -> argparse.ArgumentParser:
    """Build the parser of the simulator's command line options."""
    made = argparse.ArgumentParser(prog="mytrading simulator", description="An OpenAlgo-compatible paper exchange.")
    made.add_argument("--rest-port", type=_port, default=0, help="0 takes a free port")
    made.add_argument("--ws-port", type=_port, default=0, help="0 takes a free port")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--api-key", default="", help="made up if not given")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--speed", type=float, default=1.0, help="market seconds a second")
    made.add_argument("--tick-seconds", type=int, default=1, help="market seconds from one tick to the next")
    made.add_argument("--start", default="", help="YYYY-MM-DD HH:MM, Indian time")
    made.add_argument("--replay", type=Path, help="CSV of ticks: timestamp,ltp[,bid,ask,volume]")
    made.add_argument("--underlying", default="NIFTY", help="whose ticks the replayed file has")
    made.add_argument(
        "--follow", default="", metavar="FOLDER", help="state folder or market endpoint of a running stack"
    )
    made.add_argument("--every-day", action="store_true", help="no weekends, no holidays: the market's date is today")
    made.add_argument("--cors", default="", metavar="ORIGIN", help="pages of this origin may read answers; * is any")
    made.add_argument("--instruments", type=int, default=0, help="fill the market up to this many with shares")
    made.add_argument("--state-dir", type=Path, help="where the books are kept")
    made.add_argument("--clock", type=Path, help="the market clock's file")
    made.add_argument("--config-dir", type=Path, default=Path("config"))
    made.add_argument("--ready-file", type=Path, help="written once both ports serve")
    made.add_argument("--json", action="store_true", help="announce as one JSON object")
    made.add_argument("--personality", default="paper", help="paper, sandbox or live; see docs/simulator.md")
    made.add_argument("--broker", default="", help="whose status words and habits a live one has")
    made.add_argument("--record", action="store_true", help="keep beside the books what happened, when")
    made.add_argument("--faults", type=Path, metavar="FILE", help="faults, TOML or JSON; followed while it is edited")
    made.add_argument("--fault", action="append", default=[], metavar="NAME[:probability|xCOUNT|key=value,...]")
    made.add_argument("--list-faults", action="store_true", help="show what faults there are, and end")
    return made


def _parse() -> SimulatorOptions:
    given = vars(parser().parse_args())
    if given.pop("list_faults"):
        sys.stdout.write(fault_table() + "\n")
        sys.exit(0)
    file = given["faults_file"] = given["faults"]
    # Faults of options win over those of the file.
    given["faults"] = (*(read_fault_file(file) if file else ()), *map(parse_fault_option, given.pop("fault")))
    given["api_key"] = given["api_key"] or secrets.token_hex(16)
    return SimulatorOptions(**given)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return int(text)


def main() -> int:
    """Run the simulator; returns exit code 2 for unusable options, with `--json` printed as one JSON object."""
    try:
        run(_parse())
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        if "--json" in sys.argv[1:]:
            sys.stdout.write(json.dumps({"error": str(error), "exit": 2}) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
