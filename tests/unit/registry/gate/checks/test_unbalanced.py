"""The default policy where a class is rare, on models that are fitted: a short form of `benchmarks unbalanced`."""

import pytest

from benchmarks.unbalanced import BETTER, BY_LABELS, CONSTANT, DEFAULT, RULES, Population, let_in, populations

SHORT = ("two clouds, 8 %", "make_classification, wrong labels, 15 %", "digits, an eight, 10 %")


def test_ten_datasets_are_unbalanced():
    """Each has a rare class, with less than half of an even share."""
    every = list(populations())
    assert len({population.name for population in every}) == 10
    assert all(population.share < 0.25 for population in every)


@pytest.mark.parametrize(
    "population", [each for each in populations() if each.name in SHORT], ids=lambda each: each.name
)
def test_constants_stay_out_and_who_is_better_comes_in(population: Population):
    """Also as a first version; by shares of right answers alone, who never says yes came in."""
    before = next(rule for rule in RULES if rule.startswith("accuracy and no constant"))
    found = let_in(population, range(1), {name: RULES[name] for name in (DEFAULT, before)})
    assert found[DEFAULT, CONSTANT] == (12, 0)
    assert found[before, CONSTANT][1] > 0
    for kind in (BETTER, BY_LABELS):
        there, passed = found[DEFAULT, kind]
        assert there > 0
        assert passed == there
