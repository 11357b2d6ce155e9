"""Write the reference from the code, and the list of decisions: `python docs/make_reference.py`; a test compares it."""

import ast
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import click
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from slipway.command_line import cli
from slipway.registry.settings import RegistrySettings
from slipway.registry.setup.server_settings import ServerSettings
from slipway.serving.settings import ServingSettings
from slipway.training.settings import TrainingSettings

DOCS = Path(__file__).parent
ROOT = DOCS.parent
WIDTH = 100
SECTIONS: dict[str, type[BaseModel]] = {
    "training": TrainingSettings,
    "registry": RegistrySettings,
    "registry.server": ServerSettings,
    "serving": ServingSettings,
}
ELSEWHERE = {"server"}  # a section of its own here
NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    SecretStr: "text, kept secret",
}
BOUNDS = {Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt")}


def commands() -> str:
    """Return every command with its help, as `--help` prints it."""
    lines = ["# Commands", "", "What `slipway --help` and each command's `--help` print.", ""]
    for context in _contexts(cli, None, "slipway"):
        text = context.get_help()
        lines += [f"## {context.command_path}", "", *(f"    {line}".rstrip() for line in text.splitlines()), ""]
    return "\n".join(lines)


def _contexts(command: click.Command, above: click.Context | None, name: str) -> Iterator[click.Context]:
    """Yield how a command, and each one below it, is called."""
    wide = {"max_content_width": WIDTH, "terminal_width": WIDTH}
    context = click.Context(command, parent=above, info_name=name, **{**command.context_settings, **wide})
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None, f"{context.command_path} lists {each}, and has none"
            yield from _contexts(below, context, each)


def settings() -> str:
    """Return every setting with its variable, what it takes, and its default."""
    lines = [
        "# Settings",
        "",
        "In `slipway.yaml`, in the folder where a command is run, by section. A variable of the environment goes",
        "before the file, and an option before both.",
        "",
    ]
    for section, kind in SECTIONS.items():
        path = section.split(".")
        lines += [
            f"## {section}",
            "",
            *_paragraphs(kind),
            "",
            "| setting | variable | takes | default |",
            "|---|---|---|---|",
        ]
        for name, field in kind.model_fields.items():
            if name not in ELSEWHERE:
                variable = "__".join(["SLIPWAY", *path, name]).replace("SLIPWAY__", "SLIPWAY_", 1).upper()
                lines.append(f"| `{name}` | `{variable}` | {_takes(field)} | {_default(field)} |")
        lines.append("")
    return "\n".join(lines)


def _paragraphs(kind: type[BaseModel]) -> list[str]:
    """Return the docstring's paragraphs, each on one line."""
    found = " ".join(line.strip() or "\n\n" for line in (kind.__doc__ or "").strip().splitlines())
    return [part.strip() for each in found.split("\n\n") for part in (each, "")][:-1]


def _takes(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(each, of):g}"
        for each in field.metadata
        for kind, (words, of) in BOUNDS.items()
        if isinstance(each, kind)
    ]
    return ", ".join([_name(field.annotation), *bounds])


def _name(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_name(each) for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is tuple:
        return f"a list of {_name(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"name: {_name(get_args(kind)[1])}, of any number"
    return NAMES[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(has to be given)"
    default = field.default
    if default is None or default in ((), {}):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def words() -> str:
    """Return what each class of registry and serving stands for, by the chapter that it lives in."""
    lines = [
        "# Words of the code",
        "",
        "What the classes stand for, chapter by chapter; [the glossary](../glossary.md) has the words of users.",
        "",
    ]
    for package in ("registry", "serving"):
        for folder in sorted({path.parent for path in (ROOT / package).rglob("*.py")}):
            found = sorted(_classes(folder))
            if found:
                lines += [f"## {folder.relative_to(ROOT)}", "", _first_sentence(folder / "__init__.py"), ""]
                lines += ["| word | what it is | where |", "|---|---|---|"]
                lines += [f"| `{name}` | {said} | `{file}` |" for name, said, file in found]
                lines.append("")
    return "\n".join(lines)


def _classes(folder: Path) -> Iterator[tuple[str, str, str]]:
    for path in folder.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                said = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
                yield node.name, said.replace("|", "\\|"), path.name


def _first_sentence(path: Path) -> str:
    return " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0].split())


def decisions() -> str:
    """Return the list of decisions, the latest first, by their own headings."""
    lines = ["# Decisions", "", "What was decided, against what, and why.", ""]
    for path in sorted((DOCS / "decisions").glob("0*.md"), reverse=True):
        heading = path.read_text().partition("\n")[0].removeprefix("# ").partition(". ")
        lines.append(f"- {heading[0]}: [{heading[2]}]({path.name})")
    return "\n".join([*lines, ""])


PAGES = {
    "reference/commands.md": commands,
    "reference/settings.md": settings,
    "reference/words.md": words,
    "decisions/index.md": decisions,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
