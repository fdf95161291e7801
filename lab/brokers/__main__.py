"""`make brokers`: the command line of conformance. Exit code 1 if a broker failed, 2 for an unknown name."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from lab.brokers.campaign import CHAPTERS, LISTED, SIDE_BY_SIDE, Progress, Wanted, conformed_brokers, run
from lab.brokers.results import body_of, fragment, table, write_results
from lab.unwind_on_signal import unwound_by_signals
from mytrading.runtime.host.paths import project_home


def main(arguments: list[str] | None = None) -> int:
    """Run the cases that are asked for and print their table, or with `--json` one object."""
    given = _parser().parse_args(arguments)
    known = conformed_brokers()
    if unknown := [name for name in given.names if name not in known]:
        sys.stderr.write(f"expected some of {', '.join(known)}; found {', '.join(unknown)}\n")
        return 2
    wanted = Wanted(project_home(), given.names or known, given.case, given.side_by_side, given.keep, given.chapter)
    with unwound_by_signals():
        results = run(wanted, _progress(time.monotonic()))
    body = body_of(results, LISTED)
    if given.write is not None:
        write_results(given.write, body)
    shown = json.dumps(body) if given.json else fragment(body) if given.markdown else table(results, LISTED)
    print(shown, flush=True)
    return 0 if all(one.is_good for one in results) else 1


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m lab.brokers", description=__doc__)
    made.add_argument("names", nargs="*", help="OpenAlgo's names of brokers; default: all")
    made.add_argument("--case", action="append", default=[], help="part of the name of a case; repeatable")
    made.add_argument("--chapter", action="append", default=[], choices=CHAPTERS, help="repeatable; default: all")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--markdown", action="store_true", help="print the table as the page of brokers has it")
    made.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE, help="stages that run at a time")
    made.add_argument("--keep", action="store_true", help="keep the folders of brokers that passed, too")
    made.add_argument("--write", type=Path, help="write the results for the documents into this file")
    return made


def _progress(began: float) -> Progress:
    def show(text: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        print(f"… {minutes:02d}:{seconds:02d} {text}", file=sys.stderr, flush=True)

    return show


if __name__ == "__main__":
    sys.exit(main())
