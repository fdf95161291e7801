"""What pyproject.toml cannot say: a wheel without the pages of the web console is not built."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUNDLE = Path(__file__).with_name("mytrading") / "daemons" / "console" / "bundle"


class BuildWithPages(build_py):
    """Refuses to build a wheel before `make console` has built the pages; a checkout is installed without them."""

    def run(self) -> None:
        """Build the modules, if the pages are there."""
        if not self.editable_mode and not (BUNDLE / "index.html").is_file():
            raise SystemExit(
                f"expected the pages of the web console in {BUNDLE}: build them with `make console` in a checkout;"
                " it needs Node or fetches it. A released wheel has them"
            )
        super().run()


setup(cmdclass={"build_py": BuildWithPages})
