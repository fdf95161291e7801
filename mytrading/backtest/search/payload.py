"""What a worker needs to run trials, as bytes: the spec with its bars, and the strategy's own file.

Used by local processes and by workers on other machines. A strategy's class lives in a file that is loaded by path, so
it travels as that file's text; legs without code travel in the spec. The one rule: the bytes hold everything, a worker
reads nothing else of the project.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import tempfile
from pathlib import Path

from mytrading.backtest.runner import Spec
from mytrading.runtime.loader import load_file
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.leg_strategy import leg_strategy


class PayloadError(ValueError):
    """A payload that cannot be opened here."""


@dataclasses.dataclass(frozen=True)
class Payload:
    """A spec without its class, and the file that holds the class."""

    spec: bytes
    file: str
    source: str
    strategy: str

    @property
    def digest(self) -> str:
        """Names what is run: data, settings and the strategy's text."""
        sha = hashlib.sha256(self.spec)
        sha.update(self.source.encode())
        return sha.hexdigest()[:16]

    def open(self) -> Spec:
        """The spec, with the class loaded from the file if it is here as it was sent, else from a copy."""
        spec: Spec = pickle.loads(self.spec)
        if spec.run.plan is not None:
            return dataclasses.replace(spec, strategy=leg_strategy(spec.run.plan))
        path = Path(self.file)
        if path.is_file() and path.read_text(encoding="utf-8") == self.source:
            return dataclasses.replace(spec, strategy=self._load(path))
        with tempfile.TemporaryDirectory(prefix="mytrading-") as folder:
            copy = Path(folder) / path.name
            copy.write_text(self.source, encoding="utf-8")
            return dataclasses.replace(spec, strategy=self._load(copy))

    def _load(self, path: Path) -> type[BaseStrategy]:
        loaded = load_file(path, BaseStrategy)
        if loaded.fault is not None:
            raise PayloadError(f"{self.file} cannot be loaded by the worker: {loaded.fault.message}")
        for item in loaded.classes:
            if strategy_name(item) == self.strategy:
                found: type[BaseStrategy] = item
                return found
        names = ", ".join(sorted(strategy_name(item) for item in loaded.classes)) or "none"
        raise PayloadError(f"{self.file}: expected the class of {self.strategy}, found {names}; define it in that file")


def packed(spec: Spec, file: Path) -> Payload:
    """The payload of a spec whose strategy stands in `file`."""
    bare = dataclasses.replace(spec, strategy=BaseStrategy)
    text = file.read_text(encoding="utf-8")
    return Payload(pickle.dumps(bare), str(file.resolve()), text, strategy_name(spec.strategy))
