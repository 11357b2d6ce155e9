"""What may be written for good, and how what was written reaches stores and consoles."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from slipway.registry.errors import InvalidInput
from slipway.registry.text import (
    DETAILS_DEPTH,
    NAME_CHARACTERS,
    REASON_CHARACTERS,
    cleaned,
    cleaned_values,
    one_line,
    require_name,
    require_new_name,
    require_reason,
    require_storable,
    shown,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=50)
WICKED = ["a\0b", "a\ud800b", "a\udcffb"]
CONTROLS = ["a\x1b[2Jb", "a\x07b", "a\x7fb", "a\x85b", "a\x9bb", "a\x0bb", "a\rb"]


@pytest.mark.parametrize("text", [*WICKED, *CONTROLS, "x" * (REASON_CHARACTERS + 1), "", " \n", "\u200b\u2060"])
def test_a_reason_that_cannot_be_kept_or_read_is_refused(text: str):
    """It would be in the history for good."""
    with pytest.raises(InvalidInput):
        require_reason(text, "the reason")


@pytest.mark.parametrize("text", ["worse", "ünï 🦉 👩‍👩‍👧 שלום", "x" * REASON_CHARACTERS, "two\nlines\tand a tab"])
def test_what_people_write_is_kept_as_it_is(text: str):
    """In whatever language, on as many lines as they like."""
    assert require_reason(text, "the reason") == text


def test_line_ends_of_other_systems_become_line_feeds():
    """A carriage return alone would overwrite the line on a terminal."""
    assert require_reason(" one\r\ntwo \r\n", "the reason") == "one\ntwo"


@pytest.mark.parametrize("text", [*WICKED, "", "x" * (NAME_CHARACTERS + 1)])
def test_a_name_that_no_database_could_have_is_not_asked_for(text: str):
    """PostgreSQL would answer with an error of its own."""
    with pytest.raises(InvalidInput):
        require_name(text, "the name")


@pytest.mark.parametrize("text", ["ev\u202elated", "two\nlines", "a\tb", *CONTROLS])
def test_a_name_that_is_there_is_found_and_no_other_is_made_like_it(text: str):
    """MLflow lets models be called like that."""
    assert require_name(text, "the name") == text
    with pytest.raises(InvalidInput):
        require_new_name(text, "the name")


def test_what_is_refused_is_said_with_what_was_found():
    """And how long it may be."""
    with pytest.raises(InvalidInput, match=r"the reason has 5,000,000 characters, and 4,000 are the most"):
        require_reason("x" * 5_000_000, "the reason")
    with pytest.raises(InvalidInput, match=r"the reason holds NUL"):
        require_reason("a\0b", "the reason")
    with pytest.raises(InvalidInput, match=r"the reason holds the character \\x1b"):
        require_reason("a\x1bb", "the reason")


@pytest.mark.parametrize("wicked", WICKED)
@pytest.mark.parametrize("shape", [lambda x: {"a": x}, lambda x: {x: 1}, lambda x: {"a": [{"b": [1, x]}]}])
def test_details_are_looked_through(shape, wicked: str):
    """Names and texts, wherever in them."""
    with pytest.raises(InvalidInput, match="cannot be kept"):
        require_storable(shape(wicked), "details")
    require_storable(shape("plain\n"), "details")


def test_details_of_any_depth_are_refused_without_a_traceback():
    """Deeper ones could be parsed and not be written."""
    nested: dict = {}
    for _ in range(5_000):
        nested = {"a": nested}
    with pytest.raises(InvalidInput, match="nested too deeply"):
        require_storable(nested, "details")
    fits: object = "x"
    for _ in range(DETAILS_DEPTH):
        fits = [fits]
    require_storable({"a": fits[0]}, "details")


@given(ANY_TEXT, st.integers(1, 20))
def test_every_text_can_be_made_storable(text: str, at_most: int):
    """It is no longer than wanted, has no NUL and no half pairs, and is left alone where it was so already."""
    found = cleaned(text, at_most)
    assert len(found) <= at_most
    assert "\0" not in found
    found.encode()
    assert cleaned(found, at_most) == found


def test_plain_values_are_made_storable_wherever_they_have_texts():
    """Numbers stay numbers."""
    made = cleaned_values({"a\0": ["b\0", {"c": "\ud800"}], "n": 1.5, "none": None}, 10)
    assert json.loads(json.dumps(made, ensure_ascii=False).encode()) == {
        "a\ufffd": ["b\ufffd", {"c": "\ufffd"}],
        "n": 1.5,
        "none": None,
    }


@given(ANY_TEXT)
def test_no_text_moves_a_terminals_cursor(text: str):
    """What it holds is seen instead, and encodes."""
    found = shown(text).encode().decode()
    assert not set(found) & {"\x1b", "\x9b", "\r", "\x07", "\x08", "\0", "\u202e"}
    assert "\n" not in one_line(text)


def test_what_was_written_to_fool_a_terminal_is_seen():
    """Also a line that looks like one of ours."""
    assert shown("ok\x1b[1A\x1b[2K") == "ok\\x1b[1A\\x1b[2K"
    assert one_line("ok\nerror: gone") == "ok error: gone"
