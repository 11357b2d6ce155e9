"""The commands policy check and policy show: what the rules are, before anybody meets them."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import yaml

from slipway.registry.console import json_option, print_document, say
from slipway.registry.policy.in_force import place_of_policy, policies_in_force
from slipway.registry.policy.own_functions import problems_of
from slipway.registry.policy.policy import OwnRule, Policy, PolicyBook, wrong_policy
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
    _require_functions(book, place.parent)
    if as_json:
        print_document({"source": book.source, "stages": list(book.default.names), "models": list(book.models)})
        return
    if not is_there(place):
        say(f"there is no {place}: the default policy applies")
    say(f"{book.source} is valid; stages: {' → '.join(book.default.names)}")
    for name in sorted(_missing_files([book.default, *map(book.of, book.models)])):
        say(f"warning: there is no file {name}, which a check is to read; it is looked for from {Path.cwd()}")
    for name in sorted(_missing_programs(book)):
        say(f"warning: there is no program {name}, which a check is to run; it is looked for from {Path.cwd()}")
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


def _require_functions(book: PolicyBook, folder: Path) -> None:
    """Refuse a policy whose checks of one's own name functions that are not there; the gate would meet them later."""
    named = {where: str(rule.entry_point) for where, rule in _own_rules(book) if rule.entry_point}
    problems = problems_of(named.values(), folder) if named else {}
    if wrong := [f"{where}: {problems[function]}" for where, function in named.items() if function in problems]:
        raise wrong_policy(book.source, wrong)


def _own_rules(book: PolicyBook) -> Iterator[tuple[str, OwnRule]]:
    """Yield where each check of one's own stands, and its rule; those that a model shares with all others once."""
    for model in (None, *book.models):
        for stage, rules in (book.of(model) if model else book.default).stages.items():
            for name, rule in rules.checks.own.items():
                shared = model and book.default.stages[stage].checks.own.get(name) == rule
                if not shared:
                    yield f"{f'models.{model}' if model else 'stages'}.{stage}.checks.own.{name}", rule


def _missing_programs(book: PolicyBook) -> set[str]:
    """Return the programs that checks are to run and that are not there."""
    return {rule.command[0] for _, rule in _own_rules(book) if rule.command and not shutil.which(rule.command[0])}


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
