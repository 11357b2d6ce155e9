"""The commands versions and compare: what there is."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from slipway.registry.console import json_option, print_document, print_table, say
from slipway.registry.metrics import HEADLINE
from slipway.registry.model_registry import Measured
from slipway.registry.text import counted
from slipway.registry.version import LARGEST_NUMBER, Version, parse_ref
from slipway.registry.versions.compare import Comparison, MetricRow, SameRows
from slipway.registry.versions.compare import compare as compare_measured
from slipway.registry.versions.reader import open_reader

SHOWN_VERSIONS = 20


@click.command("versions", epilog="Example: slipway versions cancer")
@click.argument("model")
@click.option(
    "--most",
    default=SHOWN_VERSIONS,
    show_default=True,
    type=click.IntRange(1),
    help="Show so many at most.",
)
@json_option
def versions(model: str, most: int, as_json: bool) -> None:
    """List a model's versions: stages, metrics, age, run."""
    registry = open_reader(os.environ, Path.cwd())
    most = min(most, LARGEST_NUMBER)
    found = registry.versions(model, at_most=most + 1)
    shown = list(zip(found[:most], registry.measured_each(found[:most]), strict=True))
    more = len(found) > most
    if as_json:
        rows = [_version_document(version, measured) for version, measured in shown]
        print_document({"model": model, "more": more, "versions": rows})
        return
    names = _headline_names([version for version, _ in shown])
    now = datetime.now(UTC)
    headers = ["version", "aliases", "MLflow stage", *(name.removeprefix("holdout_") for name in names), "age", "run"]
    title = f"{model}: {'the newest ' if more else ''}{counted(len(shown), 'version')}"
    print_table(title, headers, [_version_row(v, m, names, now) for v, m in shown])
    if more:
        say(f"there are older ones: slipway versions {model} --most {10 * most}")


@click.command("compare", epilog="Example: slipway compare cancer/1 cancer/2")
@click.argument("a", metavar="VERSION")
@click.argument("b", metavar="VERSION")
@click.option("--all", "show_all", is_flag=True, help="Show parameters that are equal, too.")
@json_option
def compare(a: str, b: str, show_all: bool, as_json: bool) -> None:
    """Show two versions side by side, the better marked."""
    registry = open_reader(os.environ, Path.cwd())
    left, right = registry.version(parse_ref(a)), registry.version(parse_ref(b))
    found = compare_measured(registry.measured(left), registry.measured(right))
    if as_json:
        print_document(_comparison_document(left, right, found))
        return
    metrics = [[row.name, _marked(row, "a"), _marked(row, "b")] for row in found.metrics]
    print_table("metrics (✓ better)", ["metric", str(left), str(right)], metrics)
    if said := _of_rows(found, left, right):
        say(f"warning: {said}")
    shown = [row for row in found.params if row.differs or show_all]
    params = [["≠" if row.differs else "", row.name, row.a or "", row.b or ""] for row in shown]
    print_table("parameters (≠ differs)", ["", "parameter", str(left), str(right)], params)
    if equal := len(found.params) - len(shown):
        say(f"{counted(equal, 'parameter')} more with equal values: shown by --all")


def _headline_names(shown: list[Version]) -> list[str]:
    tasks = {version.tags.get("slipway.task", "") for version in shown}
    return [name for task in sorted(tasks) for name in HEADLINE.get(task, ())]


def _version_row(version: Version, measured: Measured, names: list[str], now: datetime) -> list[str]:
    metrics = [_number(measured.metrics.get(name)) for name in names]
    aliases = ", ".join(sorted(version.aliases))
    age = _age(now - version.created_at)
    return [str(version.number), aliases, version.mlflow_stage or "", *metrics, age, (version.run_id or "")[:8]]


def _version_document(version: Version, measured: Measured) -> dict[str, Any]:
    headline = HEADLINE.get(version.tags.get("slipway.task", ""), ())
    return {
        "version": version.number,
        "aliases": sorted(version.aliases),
        "mlflow_stage": version.mlflow_stage,
        "created_at": version.created_at.isoformat(),
        "run_id": version.run_id,
        "source": version.source,
        "metrics": {name: measured.metrics[name] for name in headline if name in measured.metrics},
        "tags": dict(version.tags),
    }


def _comparison_document(a: Version, b: Version, found: Comparison) -> dict[str, Any]:
    return {
        "a": str(a),
        "b": str(b),
        "rows": str(found.rows),
        "metrics": [{"name": row.name, "a": row.a, "b": row.b, "better": row.better} for row in found.metrics],
        "params": [{"name": row.name, "a": row.a, "b": row.b, "differs": row.differs} for row in found.params],
    }


def _of_rows(found: Comparison, a: Version, b: Version) -> str | None:
    """Say that metrics of both are not of the same rows, or may not be."""
    both = any(row.a is not None and row.b is not None for row in found.metrics)
    if not both or found.rows is SameRows.SAME:
        return None
    what = (
        "are of different rows" if found.rows is SameRows.DIFFERENT else "may be of different rows: no run says which"
    )
    return (
        f"these metrics {what}; measure both on the same: slipway evaluate {a} --data …, slipway evaluate {b} --data …"
    )


def _marked(row: MetricRow, side: str) -> str:
    value: float | None = getattr(row, side)
    return f"{_number(value)} ✓" if row.better == side else _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _age(age: timedelta) -> str:
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age.total_seconds() >= seconds:
            return f"{int(age.total_seconds() // seconds)} {unit}"
    return f"{int(age.total_seconds())} s"
