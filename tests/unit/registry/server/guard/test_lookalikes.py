"""Which names could be read as a protected one, and which could not."""

import pytest

from slipway.registry.server.guard.lookalikes import is_plain, looks_like

ALIKE = [
    "production",
    "Production",
    "produc\u0442ion",  # Cyrillic te
    "product\u0456on",  # Cyrillic i
    "\u0440r\u043educt\u0456\u043en",
    "\u03c1roduction",  # Greek rho
    "\uff50\uff52\uff4f\uff44\uff55\uff43\uff54\uff49\uff4f\uff4e",  # full width
    "\U0001d429\U0001d42b\U0001d428\U0001d41d\U0001d42e\U0001d41c\U0001d42d\U0001d422\U0001d428\U0001d427",  # bold
    "product\u0131on",  # dotless i
    "prod\u200buction",  # zero width
    "production\u200d",
    "\ufeffproduction",
    "production\u3164",  # Hangul filler
    "production\u00a0",
    "production ",
    "production\n",
    "production_",
    "produ\u0301ction",  # combining accent
    "prod\u00fcction",
    "production\ufe0f",  # variation selector
    "pr0duct1on",
    "productlon",
    "\u13e2roduction",  # Cherokee
]
APART = ["live", "production-old", "pre_production", "prod", "productions", "production2", "\u672c\u756a", "run", ""]


@pytest.mark.parametrize("name", ALIKE, ids=ascii)
def test_what_reads_as_production_looks_like_it(name: str):
    """Other scripts, widths, invisible characters, accents, spaces, case and digits that are drawn as letters."""
    assert looks_like(name, "production")


@pytest.mark.parametrize("name", APART, ids=ascii)
def test_what_reads_otherwise_does_not(name: str):
    """Longer, shorter and other words; words of a script that nobody takes for Latin."""
    assert not looks_like(name, "production")


def test_letters_that_are_drawn_as_one_are_seen():
    """By UTS #39 an m is an rn."""
    assert looks_like("rnodel", "model")


def test_plain_names_are_printed_ascii():
    """No invisible character, no space at an end; what is within is the user's."""
    assert all(map(is_plain, ("churn", "Churn v2", "a_b-c.d")))
    assert not any(map(is_plain, ("churn ", "churn\n", "\u0441hurn", "churn\u200b", "chu\x00rn")))
