"""Run every benchmark and write `docs/performance.md`; name some to run and print only those."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks import commands, decisions, large_frame, ledger, serving, swaps, training
from benchmarks.measure import ROOT

ALL = {
    "commands": commands.run,
    "training": training.run,
    "large_frame": large_frame.run,
    "ledger": ledger.run,
    "serving": serving.run,
    "swaps": swaps.run,
    "decisions": decisions.run,
}
INTRODUCTION = """# Performance

Written by `make bench`. Ratios compare what ran side by side in one run; seconds say which machine it was and no more.

{cores} cores, Python {python}, MLflow {mlflow}, scikit-learn {sklearn}; {day}."""


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them."""
    sections = []
    for name in names or ALL:
        print(f"measuring {name} …", file=sys.stderr)
        sections.append(ALL[name]())
    if names:
        print("\n\n".join(sections))
        return
    introduction = INTRODUCTION.format(
        cores=os.cpu_count(),
        python=platform.python_version(),
        mlflow=version("mlflow"),
        sklearn=version("scikit-learn"),
        day=datetime.now(UTC).date(),
    )
    path = ROOT / "docs" / "performance.md"
    path.write_text("\n\n".join([introduction, *sections]) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
