"""Puts the instruments of each day into the warehouse: `python -m mytrading.adapters.storage.instrument_archive STATE`.

Run by the feed as a child that ends by itself whenever it has fetched a day's list, and called by `mytrading
instruments save`. No daemon imports this, since it loads DuckDB; it holds the warehouse for a moment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mytrading.adapters.storage.instrument_store import KEPT, InstrumentFile
from mytrading.adapters.storage.warehouse import Warehouse, WarehouseBusy
from mytrading.messages.instruments import Snapshot


def keep(state: Path, *, everything: bool = False) -> dict[str, int]:
    """Save the days that the warehouse lacks, and the newest, which may have been fetched again; returns their counts.

    `everything` saves all days again. Copies older than the newest ten are removed once they are in. Raises
    `WarehouseBusy`, and at the end `ValueError` with the copies that do not decode.
    """
    files, warehouse = InstrumentFile(state), Warehouse(state)
    days = files.days()
    there = () if everything else warehouse.instrument_days()
    due: list[Snapshot] = []
    spoilt = {}
    for day in [day for day in days if day not in there or day == days[-1]]:
        try:
            snapshot = files.of(day)
        except ValueError as error:
            spoilt[day] = str(error)
            continue
        if snapshot is not None:
            due.append(snapshot)
    warehouse.add_instruments(*due)
    for day in set(days[:-KEPT]).difference(spoilt):
        files.drop(day)
    if spoilt:
        raise ValueError("; ".join(spoilt.values()))
    return {snapshot.day: len(snapshot.instruments) for snapshot in due}


def main(state: Path) -> int:
    """Keep what is due, behind everything else that this machine does; the exit code says whether it was done."""
    os.nice(19)
    try:
        keep(state)
    except (WarehouseBusy, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
