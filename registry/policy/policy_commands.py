"""The commands policy check and policy show: what the rules are, before anybody meets them."""

import os
from collections.abc import Sequence
from pathlib import Path

import click
import yaml

from slipway.registry.console import json_option, print_document, say
from slipway.registry.policy.in_force import place_of_policy, policies_in_force
from slipway.registry.policy.policy import Policy
from slipway.registry.policy.policy_file import load_policy
from slipway.registry.yaml_files import is_there


@click.group("policy", epilog="Example: slipway policy show cancer")
def policy() -> None:
    """Check the policy, or show what it says of a model."""


@policy.command("check", epilog="Example: slipway policy check promotion.yaml")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def check(file: Path | None, as_json: bool) -> None:
    """Read the policy and say whether it is one."""
    place = file or place_of_policy(os.environ, Path.cwd())
    book = load_policy(place)
    if as_json:
        print_document({"source": book.source, "stages": list(book.default.names), "models": list(book.models)})
        return
    if not is_there(place):
        say(f"there is no {place}: the default policy applies")
    say(f"{book.source} is valid; stages: {' → '.join(book.default.names)}")
    for name in sorted(_missing_files([book.default, *map(book.of, book.models)])):
        say(f"warning: there is no file {name}, which a check is to read; it is looked for from {Path.cwd()}")
    for model in book.models:
        say(f"  {model} has settings of its own: slipway policy show {model}")


@policy.command("show", epilog="Example: slipway policy show cancer")
@click.argument("model")
@json_option
def show(model: str, as_json: bool) -> None:
    """Show the effective policy of a model: defaults and its own settings as one."""
    book = policies_in_force(os.environ, Path.cwd())
    found = book.of(model)
    document = {"model": model, "source": book.source, "digest": found.digest, "stages": _stages(found)}
    if as_json:
        print_document(document)
        return
    click.echo(yaml.safe_dump(document, sort_keys=False).rstrip())


def _missing_files(policies: Sequence[Policy]) -> set[str]:
    """Return the files that checks are to read and that are not there; addresses and built-in datasets aside."""
    checks = [
        values
        for policy in policies
        for stage in policy.model_dump(mode="json")["stages"].values()
        for values in stage["checks"].values()
        if isinstance(values, dict)
    ]
    named = {str(values["data"]) for values in checks if values.get("data")}
    return {name for name in named if ":" not in name and not Path(name).exists()}


def _stages(policy: Policy) -> object:
    return policy.model_dump(mode="json", exclude_none=True)["stages"]
