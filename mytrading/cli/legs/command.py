"""`mytrading legs`: strategies of legs, without code: made from templates, checked, shown at present prices.

Nothing that is there is ever overwritten.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mytrading.cli.shell.failures import CONFIGURATION, ERROR, USAGE, fail, find_running_stack, project_folder
from mytrading.cli.shell.options import AsJson, Profile, completion, leg_strategy_names
from mytrading.cli.shell.output import print_json, print_result, print_rows
from mytrading.config.problems import hint, name_key
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.leg_plan import LegPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mytrading.cli.legs.modelled_quotes import ModelledQuotes
    from mytrading.cli.legs.show import LegSizer
    from mytrading.config.settings import TradingSettings
    from mytrading.config.strategies import StrategyConfig

app = typer.Typer(no_args_is_help=True, help="Option strategies of up to 20 legs, without code.", rich_markup_mode=None)
SCHEMA_FILE = "docs/legs.schema.json"
_COLUMNS = ("action", "instrument", "expiry", "strike", "lots", "profile", "product", "units", "price", "limit",
            "value", "stop", "target", "guard")  # fmt: skip
LegFile = Annotated[str, typer.Argument(help="A file of legs in config/strategies.", autocompletion=leg_strategy_names)]


TemplateLeg = tuple[str, str, str, str, str, str]


class Template(NamedTuple):
    """`legs` are (action, what, strike, right, expiry, stop); `what` is option or future, `stop` empty for a hedge."""

    about: str
    legs: tuple[TemplateLeg, ...]
    product: str = "MIS"


def _option(action: str, strike: str, right: str, expiry: str = "nearest", stop: str = "") -> TemplateLeg:
    return action, "option", strike, right, expiry, stop or ("100%" if action == "SELL" else "")


TEMPLATES: dict[str, Template] = {
    "short-straddle": Template(
        "Sells the call and the put at the money: earns while the market stands still, loss without a bound.",
        (_option("SELL", "ATM", "CE", stop="30%"), _option("SELL", "ATM", "PE", stop="30%"))),
    "strangle": Template(
        "Sells a call and a put out of the money, each covered by one further out that is bought first.",
        (_option("BUY", "OTM 8", "CE"), _option("BUY", "OTM 8", "PE"), _option("SELL", "OTM 3", "CE"),
         _option("SELL", "OTM 3", "PE"))),
    "iron-condor": Template(
        "A sold strangle by delta inside a bought one: the most it can lose is known.",
        (_option("BUY", "OTM 10", "CE"), _option("BUY", "OTM 10", "PE"), _option("SELL", "DELTA 0.25", "CE"),
         _option("SELL", "DELTA 0.25", "PE"))),
    "bull-call-spread": Template(
        "Buys the call at the money and sells one above: a rise, with a known loss.",
        (_option("BUY", "ATM", "CE"), _option("SELL", "OTM 3", "CE"))),
    "bear-put-spread": Template(
        "Buys the put at the money and sells one below: a fall, with a known loss.",
        (_option("BUY", "ATM", "PE"), _option("SELL", "OTM 3", "PE"))),
    "calendar": Template(
        "Sells the near call at the money and buys the same strike rule of the next expiry: time passes faster there.",
        (_option("BUY", "ATM", "CE", "next"), _option("SELL", "ATM", "CE", "nearest"))),
    "covered-call": Template(
        "Buys the future and sells a call above it. Of shares: kind equity, quantity, product CNC, call NRML.",
        (("BUY", "future", "", "", "monthly", "2%"), _option("SELL", "OTM 3", "CE", "monthly"))),
}  # fmt: skip


def template_toml(name: str, template: Template, underlying: str) -> str:
    """Return the TOML text of a new strategy of legs, made from a template."""
    legs = "\n".join(_leg(*leg) for leg in template.legs)
    return f"""#:schema ../../docs/legs.schema.json
# {template.about}
# Runs once ENABLED_STRATEGIES names it; `mytrading legs check {name}`, `mytrading legs show {name}`.
# Instead of lots a leg may say profile = "Balanced": a share of each account's free margin (config/risk.toml).
# A leg may name a product of its own: product = "NRML".
# stop counts from the leg's own price at its entry; a bought leg that hedges a sold one has none. Without the line 25 %
# of the premium counts (DEFAULT_STOP_LOSS_OPTIONS), which ordinary days reach. `mytrading legs check` names each stop.
name = "{name}"
underlying = "{underlying}"
product = "{template.product}"

entry_time = "09:20"
entry_minutes = 15
exit_time = "15:10"
days = "any"
when = "always"
{legs}"""


def _leg(action: str, what: str, strike: str, right: str, expiry: str, stop: str) -> str:
    rows = [f'action = "{action}"', f'expiry = "{expiry}"', "lots = 1"]
    rows += [f'strike = "{strike}"', f'right = "{right}"'] if what == "option" else [f'kind = "{what}"']
    rows += [f'stop = "{stop}"'] if stop else []
    return "\n[[legs]]\n" + "\n".join(rows) + "\n"


@completion
def template_names() -> Iterable[str]:
    """Names of the leg templates, for shell completion."""
    return TEMPLATES


@app.command()
def new(
    name: str = typer.Argument(..., help="Name of the strategy and its file."),
    template: str = typer.Option("short-straddle", "--template", "-t", autocompletion=template_names,
                                 help="short-straddle, strangle, iron-condor, bull-call-spread …"),
    underlying: str = typer.Option("NIFTY", "--underlying", "-u", help="NIFTY, BANKNIFTY, SENSEX or EXCHANGE:SYMBOL."),
    source: str = typer.Option("", "--from", help="Copy this strategy of legs instead of a template.",
                               autocompletion=leg_strategy_names),
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Write config/strategies/NAME.toml from a template, or a copy of another file of legs."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        fail(USAGE, f"expected a name of letters, digits and _, beginning with a letter; found {name!r}")
    if template not in TEMPLATES:
        fail(USAGE, f"no template {template!r}{hint(template, TEMPLATES)}; there are {', '.join(TEMPLATES)}")
    from mytrading.cli.shell.target import file_stem, refuse_taken_name

    home = project_folder()
    refuse_taken_name(home, name)
    text = template_toml(name, TEMPLATES[template], underlying.upper())
    if source:
        text = _file_of(home, source)[0].read_text(encoding="utf-8")
        own, naming = f'name = "{name}"', re.compile(r'^\s*name\s*=\s*"[^"]*"', re.MULTILINE)
        text = naming.sub(own, text, count=1) if naming.search(text) else f"{own}\n{text}"
    path = home / "config" / "strategies" / f"{file_stem(name)}.toml"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        fail(ERROR, f"{path.relative_to(home)} is there already; choose another name, or remove it first")
    where = str(path.relative_to(home))
    body = {"name": name, "file": where, "template": "" if source else template, "from": source}
    cures = (f"  mytrading legs check {name}", f"  ENABLED_STRATEGIES={name} mytrading up --simulator")
    print_result(body, as_json, f"{where} written", *cures)


def _file_of(home: Path, name: str) -> tuple[Path, str]:
    """The file of legs of this name, and the name as it stands there; ends the command if there is none."""
    from mytrading.cli.shell.target import settings_names

    files = settings_names(home / "config" / "strategies").items()
    found = [one for one in files if "[[legs]]" in one[0].read_text(encoding="utf-8", errors="replace")]
    mine = next((one for one in reversed(found) if name_key(one[1]) == name_key(name)), None)
    if mine is None:
        known = [own for _, own in found]
        fail(USAGE, f"no file of legs in config/strategies is called {name!r}{hint(name, known)}")
    return mine


def _settings(home: Path, name: str, profile: str = "default") -> TradingSettings:
    """The settings with this strategy as the one that runs, so that everything about it is checked."""
    from mytrading.config.loading import load_settings
    from mytrading.config.problems import ConfigurationError

    path, label = _file_of(home, name)
    own = str(path.relative_to(home))
    try:
        found = load_settings(home, profile or "default", overrides={"ENABLED_STRATEGIES": label})
    except ConfigurationError as error:
        mine = [text for text in error.problems if own in text or text.startswith(f"{label}.")]
        other = [f"nothing is wrong with {own} itself, but other settings are:", *error.problems]
        fail(CONFIGURATION, "\n".join(mine or other))
    if not found.strategies:
        fail(CONFIGURATION, f"{own}: enabled = false, so it never runs; take the line out to check it")
    return found


@app.command()
def check(name: LegFile, as_json: AsJson = False, profile: Profile = "") -> None:
    """Check if a file of legs can run: every mistake with line, key and value, and who holds each leg's stop."""
    settings = _settings(project_folder(), name, profile)
    body = _described(settings)
    lines = (f"  {line}" for line in (*body["notes"], *body["guards"], *body["changes"]))
    print_result(body, as_json, f"{body['file']}: {body['legs']} legs, in order", *lines)


def _described(settings: TradingSettings) -> dict[str, Any]:
    """Return what `check` prints of the only strategy of these settings, which is one of legs."""
    from mytrading.config.cross_checks import product_of
    from mytrading.config.run_config import strategy_run
    from mytrading.core.engine.leg_tracker import covers_by_sold_leg
    from mytrading.core.options.leg_grammar import spell_changes, spell_range
    from mytrading.core.risk.pretrade.planned_stops import planned_stops, stop_rules

    (config,) = settings.strategies
    plan = settings.plan_of(config.name)
    assert plan is not None
    file = settings.file_of(config.name)
    notes = [text for text in settings.warnings if text.startswith((f"{file}:", f"{config.name}:"))]
    notes += risk_notes(plan, product_of(settings, config))
    rules = stop_rules(strategy_run(settings, config), settings.risk)
    guards = [f"{stop.position}: {stop.text}" for stop in planned_stops(plan, rules)]
    changes = [f"legs[{number}]: {text}" for number, leg in enumerate(plan.legs, 1) if (text := spell_changes(leg))]
    changes += [spell_range(plan.range)] if plan.range is not None else []
    covers = covers_by_sold_leg(plan.legs)
    for place, leg in enumerate(plan.legs):
        if (leg.reentries or leg.roll is not None) and (bought := covers.get(place)):
            named = ", ".join(f"legs[{number + 1}]" for number in bought)
            changes.append(
                f"legs[{place + 1}]: sold again only with {named}, which is bought again first if it is gone"
            )
    return {"name": config.name, "file": file, "legs": len(plan.legs), "notes": notes, "guards": guards,
            "changes": changes}  # fmt: skip


@app.command()
def save(
    name: Annotated[str, typer.Argument(help="Name of the strategy; a new one gets a file.")],
    version: Annotated[str, typer.Option("--version", help="Take this version of the file instead.")] = "",
    expected: Annotated[
        str, typer.Option("--expected", help="Digest of the file that was seen; refused if it changed since.")
    ] = "",
    source: Annotated[str, typer.Option("--from", help="A new file: a copy of this one, with the changes.")] = "",
    only_new: Annotated[bool, typer.Option("--new", help="Refuse if a file of this name is there.")] = False,
    only_check: Annotated[bool, typer.Option("--check", help="Show what would change, and write nothing.")] = False,
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Change a file of legs by JSON on standard input: its keys, and `legs` as a list. Comments and other keys stay.

    A leg changes the one at its place; or legs say with `from` which one of the file each was, null for a new one.
    """
    from mytrading.cli.legs.saving import merge_legs
    from mytrading.cli.shell.file_edits import check_file_text, problem_location
    from mytrading.cli.shell.target import read_json_input, refuse_taken_name
    from mytrading.runtime.host import file_versions

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        fail(USAGE, f"expected a name of letters, digits and _, beginning with a letter; found {name!r}")
    home = project_folder()
    path, label, before = _draft_of(home, name)
    if not before:
        refuse_taken_name(home, name)
    seen = _file_of(home, source)[0].read_text(encoding="utf-8") if source else before
    own, digest = str(path.relative_to(home)), file_versions.digest_of_text(seen)
    if (only_new or source) and before:
        fail(ERROR, f"MOVED: {own} is there already; open it first, or choose another name")
    if expected not in ("", digest):
        fail(ERROR, f"MOVED: {source or own} was changed since it was shown; load it again")
    try:
        after = (
            file_versions.version_text(path, version)
            if version
            else merge_legs(seen, label, read_json_input("keys of the file"))
        )
    except ValueError as error:
        fail(USAGE, str(error))
    idle = _is_disabled(after)  # judged as if it ran, so that all its mistakes are told
    settings, problems = check_file_text(
        home, path, merge_legs(after, label, {"enabled": True}) if idle else after, label, profile
    )
    if idle:
        problems.insert(0, f"{own}: enabled = false, so it never runs; take the line out")
    described = _described(settings) if settings is not None and not problems else {}
    writes = not (only_check or problems or after == before)
    kept = file_versions.write_version(path, before, after) if writes else ""
    there = after if writes else before
    body = {
        "name": label, "file": own, "saved": writes, "digest": file_versions.digest_of_text(there),
        "kept_version": kept, "versions": file_versions.versions_of(path), "text": after,
        "diff": file_versions.diff_of(before, after, own), "problems": [problem_location(text) for text in problems],
        **{key: described.get(key, []) for key in ("notes", "guards", "changes")},
    }  # fmt: skip
    said = "written" if writes else "nothing to change" if after == before else "not written"
    print_result(body, as_json, *body["diff"], *problems, f"{own}: {said}")
    if problems and not only_check:
        raise typer.Exit(CONFIGURATION)


def _is_disabled(text: str) -> bool:
    try:
        return tomllib.loads(text).get("enabled") is False
    except ValueError:
        return False


def _draft_of(home: Path, name: str) -> tuple[Path, str, str]:
    """The file of a strategy of legs, its name as written and its text; of a new one the file it gets, and no text."""
    from mytrading.cli.shell.target import file_stem, settings_names

    for path, known in settings_names(home / "config" / "strategies").items():
        if name_key(known) == name_key(name) and "[[legs]]" in (text := path.read_text(encoding="utf-8")):
            return path, known, text
    return home / "config" / "strategies" / f"{file_stem(name)}.toml", name, ""


def risk_notes(plan: LegPlan, product: Product) -> list[str]:
    """Return warnings about a valid plan that is risky, a line each; `product` is for legs that name none."""
    notes = []
    above, below = _bare_sides(plan)
    if above:
        notes.append("nothing that is bought covers a rise: the loss has no bound there")
    if below:
        notes.append("no bought put covers a fall: the loss grows with it, down to a price of nothing")
    sold = any(leg.lots < 0 for leg in plan.legs)
    if sold and any(leg.lots > 0 and leg.order_type is OrderType.LIMIT for leg in plan.legs):
        notes.append(
            "a bought leg rests at its limit, and nothing is sold before it is held: if it does not fill soon, "
            "the whole entry is given up"
        )
    if not (plan.exit_time or plan.square_off_time):
        notes.append("no exit_time and no square_off_time: only the product's square-off and stops close it")
        mis = [str(number) for number, leg in enumerate(plan.legs, 1) if (leg.product or product) is Product.MIS]
        rest = [str(number) for number in range(1, len(plan.legs) + 1) if str(number) not in mis]
        if mis and rest:
            stays = f"legs {', '.join(rest)} stay, until stops or their expiry"
            notes.append(f"each day's square-off closes legs {', '.join(mis)} (MIS), and {stays}")
    return notes


def _bare_sides(plan: LegPlan) -> tuple[bool, bool]:
    """Return whether more is sold than bought above and below the market; legs of one profile cover no other size."""
    from mytrading.core.accounting.margin_tables import sizing_key

    above = below = False
    for word in {sizing_key(leg.profile) for leg in plan.legs}:
        legs = [leg for leg in plan.legs if sizing_key(leg.profile) == word]
        calls, puts = (sum(leg.lots for leg in legs if leg.right == right) for right in ("CE", "PE"))
        others = sum(leg.lots for leg in legs if not leg.right)
        above, below = above or calls + others < 0, below or puts - others < 0
    return above, below


Wait = Annotated[float, typer.Option("--wait", min=0.0, help="Longest wait for quotes.")]
Spot = Annotated[float, typer.Option("--spot", min=0.0, help="Price of the underlying; then no stack has to run.")]
Volatility = Annotated[str, typer.Option("--iv", help="With --spot: at-the-money volatility, 0.14 or 14%.")]
Day = Annotated[
    str, typer.Option("--date", metavar="DAY", help="With --spot: a day such as 2026-01-30; default: today.")
]


@app.command()
def show(
    name: LegFile, wait: Wait = 10.0, spot: Spot = 0.0, iv: Volatility = "", day: Day = "", as_json: AsJson = False,
    profile: Profile = "",
) -> None:  # fmt: skip
    """Show the contracts a file of legs would trade now: premium, margin, breakevens, and the payoff as a picture."""
    from mytrading.cli.legs.show import draw_payoff

    label, picture = _priced(name, wait, spot, iv, day, profile)
    if as_json:
        print_json({"name": label, **picture})
    else:
        _print(picture)
        draw_payoff(picture)


@app.command()
def payoff(
    name: LegFile, wait: Wait = 10.0, spot: Spot = 0.0, iv: Volatility = "", day: Day = "",
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="The page; default: runs/charts/NAME_payoff.html.")
    ] = "",
    as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Write the payoff of a file of legs as a page: at expiry, today and between, with sliders and probability."""
    from mytrading.cli.legs.payoff_page import payoff_report
    from mytrading.reports.page import write_report_files

    label, picture = _priced(name, wait, spot, iv, day, profile)
    path = Path(out) if out else Path("runs") / "charts" / f"{label}_payoff.html"
    try:
        write_report_files(payoff_report(label, picture), path)
    except OSError as error:
        fail(ERROR, f"{path}: cannot be written: {error.strerror}; name another file with --out")
    chance = f"probability of profit {picture['probability_of_profit']:.1%}"
    print_result({"name": label, "page": str(path), **picture}, as_json, f"{path}: {chance}")


def _priced(name: str, wait: float, spot: float, iv: str, day: str, profile: str) -> tuple[str, dict[str, Any]]:
    """A strategy of legs by its name, and its legs at present quotes; with `spot` at modelled ones, without a stack."""
    from mytrading.cli.legs.show import LegQuotes, leg_sizer, price_legs
    from mytrading.cli.shell.target import load_risk_tables
    from mytrading.config.run_config import strategy_run
    from mytrading.core.instruments.book import NoSuchContract
    from mytrading.core.risk.pretrade.planned_stops import stop_rules

    home = project_folder()
    if (iv or day) and not spot:
        fail(USAGE, "--iv and --date price legs without a stack; expected --spot too, the price of the underlying")
    tables = load_risk_tables(home)
    if spot:
        settings, config, plan, watches = _plan_of(home, name, profile)
        sizer, quotes = _offline(home, settings, config, plan, watches[0], spot, iv, day)
        stops = stop_rules(strategy_run(settings, config), settings.risk)
        try:
            return config.name, price_legs(plan, watches, quotes, 0.0, tables, sizer, stops)
        except NoSuchContract as error:
            fail(ERROR, str(error))
    with find_running_stack(profile) as found:
        settings, config, plan, watches = _plan_of(home, name, found.config.profile)
        sizer, stops = leg_sizer(settings, config, found), stop_rules(strategy_run(settings, config), settings.risk)
        try:
            with LegQuotes(found.config) as leased:
                return config.name, price_legs(plan, watches, leased, wait, tables, sizer, stops)
        except NoSuchContract as error:
            fail(ERROR, str(error))


def _plan_of(home: Path, name: str, profile: str) -> tuple[TradingSettings, StrategyConfig, LegPlan, list[str]]:
    settings = _settings(home, name, profile)
    (config,) = settings.strategies
    plan = settings.plan_of(config.name)
    assert plan is not None
    return settings, config, plan, [settings.symbols.resolve(symbol) for symbol in config.symbols]


def _offline(
    home: Path, settings: TradingSettings, config: StrategyConfig, plan: LegPlan, watch: str, spot: float, iv: str,
    day: str,
) -> tuple[LegSizer, ModelledQuotes]:  # fmt: skip
    from datetime import date

    from mytrading.backtest.data.columns import DataError
    from mytrading.cli.legs.modelled_quotes import ModelledQuotes
    from mytrading.cli.legs.show import LegSizer
    from mytrading.cli.research.run_options import parse_day
    from mytrading.config.cross_checks import product_of
    from mytrading.config.sections import parse_iv

    try:
        level = parse_iv(iv or settings.backtest.iv)
        on = parse_day("--date", day) or date.today()
        quotes = ModelledQuotes(home, watch, spot, level, on, plan.entry_time, settings.backtest)
    except ValueError as error:
        fail(USAGE, f"--iv: {error}" if not isinstance(error, DataError) else str(error))
    return LegSizer(product_of(settings, config), config.sizing_rule, config.accounts or ("default",), {}), quotes


def _print(body: dict[str, Any]) -> None:
    print_rows(body["legs"], _COLUMNS, False, "no legs")
    for number, row in enumerate(body["legs"], 1):
        print(f"stop of leg {number}: {row['stop_of']}")
    for number, row in enumerate(body["legs"], 1):
        if row["changes"]:
            print(f"leg {number} while held: {row['changes']}")
    if body["range"]:
        print(body["range"])
    for row in body["sized"]:
        print(f"{row['account']}: {', '.join(map(str, row['lots'])) or 'left out'}: {row['why']}")
    net = body["net_premium"]
    bounds = (body["max_profit"], body["max_loss"])
    most, least = ("without bound" if one is None else f"{'−' if one < 0 else ''}₹{abs(one):,.2f}" for one in bounds)
    evens = ", ".join(f"{price:,.2f}" for price in body["breakevens"]) or "none"
    premium = f"premium {'paid' if net > 0 else 'received'} ₹{abs(net):,.2f}"
    print(f"\nspot {body['spot']:,.2f}   {premium}   max profit {most}   max loss {least}   breakevens {evens}")
    print(f"probability of profit {body['probability_of_profit']:.1%} at expiry, {body['days']:.1f} days from here")
    print(f"margin ₹{body['margin']:,.2f}, each leg by itself ₹{body['margin_gross']:,.2f} (config/risk.toml)\n")


@app.command()
def schema(write: bool = typer.Option(False, "--write", help=f"Write {SCHEMA_FILE} instead of printing it.")) -> None:
    """The JSON schema of files of legs, for completion in an editor (`#:schema` line, taplo)."""
    from mytrading.config.leg_plan import schema as made

    text = json.dumps(made(), indent=2, ensure_ascii=False)
    if write:
        (project_folder() / SCHEMA_FILE).write_text(text + "\n", encoding="utf-8")
    print(f"{SCHEMA_FILE} written" if write else text)
