"""The docs agree with the code: references are made from it, links lead somewhere, and commands are ones that exist."""

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from slipway.command_line import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = runpy.run_path(str(DOCS / "make_reference.py"))["PAGES"]
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md"])
# What stands for the reader's own words in a command, and what a shell does around it.
ENDS = {"|", "&&", "||", "&", ";", ">", "2>"}


@pytest.mark.parametrize("name", MADE)
def test_the_reference_is_what_the_code_says(name: str):
    """`make docs` writes it."""
    assert (DOCS / name).read_text() == MADE[name]()


def test_the_site_is_built_and_every_link_in_it_leads_somewhere(tmp_path: Path):
    """To headings as well."""
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "contains a link" not in done.stderr, done.stderr


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_what_is_linked_from_outside_is_there(page: str):
    """These two are no pages of the site."""
    for place in re.findall(r"\]\(((?!https?:)[^)#]+)[^)]*\)", (ROOT / page).read_text()):
        assert (ROOT / place).exists(), place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_is_one(page: Path):
    """Its options are known, and take a value or none as they are shown."""
    for words in commands_in(page):
        context, command = click.Context(cli, info_name="slipway"), cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            below = command.get_command(context, words[0])
            assert below is not None, words
            context, command, words = click.Context(below, parent=context, info_name=words[0]), below, words[1:]
        command.make_parser(context).parse_args(list(words))


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yield the words after `slipway` of each command in a block of a page."""
    for line in page.read_text().splitlines():
        if line.startswith("    ") and (found := re.search(r"(?:^|[;&|] )slipway (.*)", line.strip())):
            try:
                words = shlex.split(found[1], comments=True)
            except ValueError:  # a quotation that goes on in the next line
                continue
            yield words[: next((i for i, word in enumerate(words) if word in ENDS), len(words))]


def test_the_commands_are_found():
    """Else the test above would see to nothing."""
    assert sum(len(list(commands_in(page))) for page in PAGES) > 60


def test_messages_in_the_troubleshooting_are_the_codes():
    """Whoever searches the page for what they see finds it: names and numbers in a message are the reader's own."""
    sources = [path for top in ("slipway", "training", "registry", "serving") for path in (ROOT / top).rglob("*.py")]
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in sources))
    known = {"promotion.yaml", "checks.size:small", "iris@production", "a, b"}
    own = re.compile("|".join(["…", "'[^']*'", r"\d+", r"\(did you mean |\)", *map(re.escape, known)]))
    rows = [line.split("|")[1] for line in (DOCS / "troubleshooting.md").read_text().splitlines() if line[:2] == "| "]
    parts = [part.strip(" ?:") for row in rows for said in re.findall("`([^`]+)`", row) for part in own.split(said)]
    assert len(parts) > 20
    assert [part for part in parts if part not in code] == []
