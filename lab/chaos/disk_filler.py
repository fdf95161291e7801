"""A small file system of the run's own for state and logs, which is filled to its last byte and freed again.

It needs Linux and a mount namespace of the run's own, which `in_own_namespace` enters. Rule: the file system is really
full, and every byte that is freed while it is to be full is taken again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

_INSIDE = "MYTRADING_CHAOS_NAMESPACE"
_AGAIN_S = 0.1
_CHUNKS = (1 << 16, 1 << 12, 1)


def in_own_namespace(arguments: list[str]) -> str:
    """Start this command again where it may mount; returns why not, or "" if it is there already."""
    inside = bool(os.environ.get(_INSIDE))
    return "" if inside else _enter(arguments)


def _enter(arguments: list[str]) -> str:
    probe = ["unshare", "-rm", "true"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        return "--disk: expected Linux with `unshare -rm` allowed to this user, found neither; leave --disk out"
    os.environ[_INSIDE] = "1"
    return os.execvp("unshare", ["unshare", "-rm", sys.executable, "-m", "mytrading", *arguments])


class SmallDisk:
    """A tmpfs of so many megabytes at `folder`."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self._folder = folder
        self._megabytes = megabytes
        self._full = threading.Event()
        self._filler: threading.Thread | None = None

    def mount(self) -> None:
        """Put it there; `subprocess.CalledProcessError` if that is not allowed."""
        self._folder.mkdir(parents=True)
        size = f"size={self._megabytes}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._folder)], check=True)

    def take_off(self, *, keep: bool) -> None:
        """Unmount it; with `keep` its files stay, on the file system beneath."""
        copy = self._folder.with_name(f"{self._folder.name}-kept")
        if keep:
            shutil.copytree(self._folder, copy, symlinks=True)
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)
        if keep:
            self._folder.rmdir()
            copy.rename(self._folder)

    def fill(self) -> None:
        """Fill it, and keep it full until `free`."""
        if self._filler is None:
            self._full.set()
            self._filler = threading.Thread(target=self._keep_full, daemon=True)
            self._filler.start()

    def free(self) -> None:
        """Give back what `fill` took."""
        self._full.clear()
        if self._filler is not None:
            self._filler.join()
            self._filler = None
        for path in self._folder.glob("filler-*"):
            path.unlink()

    def _keep_full(self) -> None:
        with (self._folder / f"filler-{os.urandom(4).hex()}").open("wb", buffering=0) as file:
            while self._full.is_set():
                for size in _CHUNKS:
                    with suppress(OSError):
                        while True:
                            file.write(bytes(size))
                threading.Event().wait(_AGAIN_S)
