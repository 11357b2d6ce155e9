"""Run every benchmark and write `docs/performance.md`; name some to run, and only their sections are written anew."""

import os
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks import (
    artifacts,
    commands,
    decisions,
    grpc_calls,
    large_frame,
    ledger,
    memory,
    server,
    serving,
    swaps,
    training,
    unbalanced,
)
from benchmarks.measure import ROOT

ALL = {
    "commands": commands.run,
    "training": training.run,
    "large_frame": large_frame.run,
    "ledger": ledger.run,
    "server": server.run,
    "serving": serving.run,
    "grpc_calls": grpc_calls.run,
    "swaps": swaps.run,
    "memory": memory.run,
    "decisions": decisions.run,
    "unbalanced": unbalanced.run,
    "artifacts": artifacts.run,
}
INTRODUCTION = """# Performance

Written by `make bench`, each section by itself (`python -m benchmarks serving`). Ratios compare what ran side by side
in one run; seconds say which machine it was and no more."""
SECTION = re.compile(r"<!-- (\w+) -->\n(.*?)(?=\n\n<!-- |\Z)", re.DOTALL)


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them."""
    path = ROOT / "docs" / "performance.md"
    for name in names or ALL:
        print(f"measuring {name} …", file=sys.stderr)
        section = f"{ALL[name]()}\n\n_{_where_and_when()}_"
        print(section)
        sections = {**dict(SECTION.findall(path.read_text().rstrip())), name: section}
        ours = [each for each in ALL if each in sections]
        by_hand = [each for each in sections if each not in ALL]
        texts = [f"<!-- {each} -->\n{sections[each]}" for each in [*ours, *by_hand]]
        path.write_text("\n\n".join([INTRODUCTION, *texts]) + "\n")


def _where_and_when() -> str:
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, MLflow {version('mlflow')}, "
        f"scikit-learn {version('scikit-learn')}; {datetime.now(UTC).date()}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
