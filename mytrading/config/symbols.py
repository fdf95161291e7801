"""Short names of instruments, from `config/symbols.toml`; everything else uses ids, `EXCHANGE:SYMBOL`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, field_validator

from mytrading.config.problems import hint

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO", "NSE_INDEX", "BSE_INDEX")


class UnknownSymbol(ValueError):
    """A symbol that is neither a short name nor EXCHANGE:SYMBOL."""


class SymbolConfig(BaseModel):
    """Short names and the instrument ids they stand for: `SymbolConfig(names={"NIFTY": "NSE_INDEX:NIFTY"})`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: Mapping[str, str] = {
        "NIFTY": "NSE_INDEX:NIFTY",
        "BANKNIFTY": "NSE_INDEX:BANKNIFTY",
        "SENSEX": "BSE_INDEX:SENSEX",
    }

    @field_validator("names")
    @classmethod
    def _ids(cls, names: Mapping[str, str]) -> Mapping[str, str]:
        for name, instrument in names.items():
            _check_id(f"{name} = {instrument!r}", instrument)
        return names

    def resolve(self, symbol: str) -> str:
        """Return the instrument id (EXCHANGE:SYMBOL) of an id or a short name; otherwise raises `UnknownSymbol`."""
        word = symbol.strip().upper()
        if word in self.names:
            return self.names[word]
        if ":" not in word:
            raise UnknownSymbol(
                f"{symbol!r} is not a short name of config/symbols.toml{hint(word, self.names)}; "
                f"write an instrument as EXCHANGE:SYMBOL, say NSE:{word or 'SBIN'}"
            )
        _check_id(repr(symbol), word)
        return word


def exchange_of(instrument: str) -> str:
    """Return the exchange part of an instrument id: NSE of `NSE:SBIN`."""
    return instrument.partition(":")[0]


def kind_of(instrument: str) -> str:
    """Return INDEX, EQ, FUT, CE or PE by exchange and symbol ending; a derivative without known ending is FUT."""
    exchange, _, symbol = instrument.partition(":")
    if exchange.endswith("_INDEX"):
        return "INDEX"
    if exchange in ("NSE", "BSE"):
        return "EQ"
    return next((kind for kind in ("FUT", "CE", "PE") if symbol.endswith(kind)), "FUT")


def _check_id(label: str, instrument: str) -> None:
    exchange, _, symbol = instrument.partition(":")
    if exchange not in EXCHANGES or not symbol:
        raise UnknownSymbol(f"{label}: expected EXCHANGE:SYMBOL, exchange one of {', '.join(EXCHANGES)}")
