"""Options of every command that runs a strategy over history: which, on what, with what money and which rules.

They are written once, as fields of a dataclass annotated as typer wants an option; `spread` makes them options of a
command that takes that dataclass.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from typer import Argument, Option

from mytrading.cli.shell.failures import USAGE, fail
from mytrading.cli.shell.options import strategy_classes

if TYPE_CHECKING:
    from mytrading.backtest.setup.prepare import RunRequest


Parameters = Annotated[list[str], Option("--param", "-p", metavar="K=V", help="Parameter of the strategy; repeatable.")]
"""`--param` of the commands that run one set of them."""
StrategyName = Annotated[
    str, Argument(help="A strategy of `strategies/`, or a file that holds one.", autocompletion=strategy_classes)
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A run over history as the operator wants it; each field is an option."""

    name: StrategyName
    data: Annotated[
        list[str],
        Option(
            "--data",
            "-d",
            help="A .csv(.gz), .parquet or .duckdb file, a folder of bhavcopies, `openalgo`, `store`, INSTRUMENT=FILE.",
        ),
    ]
    first: Annotated[str, Option("--from", metavar="DAY", help="First day, such as 2024-01-01.")] = ""
    last: Annotated[str, Option("--to", metavar="DAY", help="Last day, included.")] = ""
    instrument: Annotated[str, Option("--instrument", "-i", help="Instrument of the data; it is also watched.")] = ""
    universe: Annotated[
        str, Option("--universe", metavar="NAME|FILE", help="Instruments to watch: NIFTY50, or a file of symbols.")
    ] = ""
    timeframe: Annotated[str, Option("--timeframe", "-t", help="Timeframe of the bars; default: the strategy's.")] = ""
    capital: Annotated[float, Option(min=1.0, help="Rupees at the start.")] = 1_000_000.0
    lots: Annotated[int | None, Option(min=1, help="Lots of an entry; default: the strategy's.")] = None
    costs: Annotated[str, Option(help="none, or india: brokerage, taxes and charges of the day.")] = "india"
    slippage_ticks: Annotated[float, Option("--slippage-ticks", min=0.0, help="Ticks that a market order pays.")] = 0.0
    product: Annotated[str, Option("--product", help="MIS, NRML or CNC; default: the strategy's.")] = ""
    stop: Annotated[str, Option(help="Holder of stops: broker, engine or none; default: the strategy's.")] = ""
    session: Annotated[
        str, Option("--session", help="Hours: exchange, data (all), or auto (all if most bars lie outside).")
    ] = "auto"
    risk: Annotated[str, Option(help="Risk limits: capital (only the capital) or config (as in trading).")] = "capital"
    options: Annotated[
        list[str],
        Option(
            "--options",
            metavar="SRC",
            help="Option prices: `model`, `store`, recorded bars, bhavcopies, folders; repeatable.",
        ),
    ] = field(default_factory=list)
    iv: Annotated[str, Option("--iv", help="At-the-money volatility: realised, 0.14 or 14%.")] = ""
    surface: Annotated[
        list[str],
        Option("--surface", metavar="K=V", help="Parameter of modelled prices, such as skew=-0.1; repeatable."),
    ] = field(default_factory=list)

    def run_request(self, **more: Any) -> RunRequest:
        """Return the request of a backtest with these options, and `more` fields that some commands add."""
        from mytrading.backtest.setup.prepare import RunRequest

        require_choice("--costs", self.costs, ("none", "india"))
        require_choice("--risk", self.risk, ("capital", "config"))
        require_choice("--session", self.session, ("auto", "exchange", "data"))
        require_choice("--stop", self.stop or "none", ("broker", "engine", "none"))
        return RunRequest(
            self.name, tuple(self.data), parse_day("--from", self.first), parse_day("--to", self.last), self.instrument,
            self.timeframe, self.capital, self.lots or 0, self.costs, self.slippage_ticks, product=self.product,
            risk=self.risk, session=self.session, stop=self.stop, options=tuple(self.options), iv=self.iv,
            surface=read_parameters(self.surface, "--surface"), universe=self.universe, **more,
        )  # fmt: skip


def require_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    """End the command with a usage error unless the option's `value` is one of `known`."""
    if value not in known:
        fail(USAGE, f"{option}: expected {' or '.join(known)}, found {value!r}")


def parse_day(option: str, text: str) -> date | None:
    """Return the ISO date given to an option; None if `text` is empty, and a usage error if it is no date."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        fail(USAGE, f"{option}: expected a day like 2024-01-31, found {text!r}")


def read_parameters(given: list[str], option: str = "--param") -> dict[str, str]:
    """Parse NAME=VALUE texts of a repeated option into a dict; the last of a name wins, a malformed one ends it all."""
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            fail(USAGE, f"{option}: expected NAME=VALUE, say fast_period=10; found {text!r}")
        found[key] = value
    return found


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command that takes one dataclass of options so that typer sees its fields as separate options."""
    parameters = signature(command, eval_str=True).parameters.values()
    (bundled,) = [one for one in parameters if dataclasses.is_dataclass(one.annotation)]
    hints = get_type_hints(bundled.annotation, include_extras=True)
    options = [
        Parameter(one.name, Parameter.KEYWORD_ONLY, default=_default(one), annotation=hints[one.name])
        for one in dataclasses.fields(bundled.annotation)
    ]
    names = [option.name for option in options]

    @functools.wraps(command)
    def taken(**given: Any) -> None:
        bundle = bundled.annotation(**{name: given.pop(name) for name in names})
        command(**{bundled.name: bundle}, **given)

    shown: list[Parameter] = []
    for one in parameters:
        shown += options if one is bundled else [one.replace(kind=Parameter.KEYWORD_ONLY)]
    taken.__dict__["__signature__"] = Signature(shown)
    taken.__annotations__ = {option.name: option.annotation for option in shown}
    return taken


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return Parameter.empty if field.default is dataclasses.MISSING else field.default
