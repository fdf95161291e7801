"""Files of legs whose legs have a product of their own: what they make, and what is said of every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.messages.enums import Product
from mytrading.messages.run_config import StrategyRun, decode_run_config, write_run_config
from tests.kit.leg_project import leg_project
from tests.kit.project import ROOT

COVERED = """name = "Covered"
entry_time = "09:20"
product = "NRML"

[[legs]]
kind = "equity"
action = "BUY"
instrument = "NSE:SBIN"
quantity = 750
product = "cnc"

[[legs]]
action = "SELL"
instrument = "NSE:SBIN"
strike = "OTM 2"
right = "CE"
"""
HEDGED = """name = "Hedged"
entry_time = "09:20"
product = "MIS"

[[legs]]
action = "BUY"
strike = "OTM 5"
right = "CE"
product = "NRML"

[[legs]]
action = "SELL"
strike = "ATM"
right = "CE"
"""


def run_of(folder: Path, text: str) -> StrategyRun:
    name = text.split('"')[1]
    settings = load_settings(leg_project(folder, text), "paper", environ={"ENABLED_STRATEGIES": name})
    config = build_run_config(settings, folder / "state", folder / "run", folder / "logs")
    write_run_config(folder / "run.msgpack", config)
    (run,) = decode_run_config(folder / "run.msgpack").strategies
    return run


def said(folder: Path, text: str, **environ: str) -> str:
    name = text.split('"')[1]
    with pytest.raises(ConfigurationError) as caught:
        load_settings(leg_project(folder, text), "paper", environ={"ENABLED_STRATEGIES": name, **environ})
    return str(caught.value)


def test_product_of_a_leg_stands_in_the_run_file_and_the_others_have_the_strategys(tmp_path: Path) -> None:
    run = run_of(tmp_path, COVERED)
    assert run.plan is not None
    assert (run.product, [leg.product for leg in run.plan.legs]) == (Product.NRML, [Product.CNC, None])


@pytest.mark.parametrize(
    ("text", "intraday"),
    [
        (COVERED, False),
        (HEDGED, False),
        (HEDGED.replace('product = "NRML"\n', ""), True),
        (HEDGED.replace('product = "MIS"', 'product = "NRML"').replace('"NRML"\n\n[[legs]]\naction = "SELL"',
                                                                       '"MIS"\n\n[[legs]]\naction = "SELL"')
         + 'product = "MIS"\n', True),
    ],
    ids=["shares and a call", "a hedge that is kept", "none named", "all named MIS"],
)  # fmt: skip
def test_legs_are_intraday_by_themselves_only_if_all_are_mis(tmp_path: Path, text: str, intraday: bool) -> None:
    assert run_of(tmp_path, text).intraday is intraday


@pytest.mark.parametrize(
    ("text", "old", "new", "reported"),
    [
        (COVERED, '"cnc"', '"NMRL"', "covered.toml:10: legs[1].product = 'NMRL': expected MIS, NRML, CNC"),
        (COVERED, '"cnc"', '"NRML"', "legs[1].product: product NRML is for derivatives, NSE:SBIN is not one; use MIS"),
        (COVERED, 'product = "NRML"', 'product = "CNC"', "legs[2].product: product CNC is for shares"),
        (COVERED, '"BUY"', '"SELL"', "legs[1].product: shares cannot be sold short with product CNC"),
        (COVERED, '"cnc"', '"MIS"', "legs[1] is bought as MIS, which ends today, and would leave legs[2], sold as "
                                    "NRML, bare; buy it as NRML, or sell the other as MIS"),
        (HEDGED, '"NRML"\n\n[[legs]]\naction = "SELL"\n', '"MIS"\n\n[[legs]]\naction = "SELL"\nproduct = "NRML"\n',
         "legs[1] is bought as MIS"),
        (HEDGED, 'entry_time', 'intraday = false\nentry_time', "the broker squares MIS off every day"),
    ],
)  # fmt: skip
def test_product_that_a_leg_cannot_have_is_reported(
    tmp_path: Path, text: str, old: str, new: str, reported: str
) -> None:
    assert old in text
    found = said(tmp_path, text.replace(old, new, 1)).replace("condor.toml", f"{text.split(chr(34))[1].lower()}.toml")
    assert reported in found


def test_product_of_a_leg_must_be_enabled(tmp_path: Path) -> None:
    text = said(tmp_path, HEDGED, ENABLED_PRODUCTS="MIS")
    assert (
        "legs[1].product = 'NRML': not in ENABLED_PRODUCTS (ENABLED_PRODUCTS (environment): MIS); add it there" in text
    )


def test_product_stands_in_the_published_schema() -> None:
    legs = json.loads((ROOT / "docs" / "legs.schema.json").read_text(encoding="utf-8"))["$defs"]["LegConfig"]
    assert legs["properties"]["product"]["enum"] == ["MIS", "NRML", "CNC", ""]
