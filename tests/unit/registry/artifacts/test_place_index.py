"""An index of places answers as the places themselves do."""

import hypothesis.strategies as st
from hypothesis import given

from slipway.registry.artifacts.locations import Place
from slipway.registry.artifacts.place_index import PlaceIndex

PLACES = st.builds(
    lambda store, parts: Place(store, tuple(parts)), st.sampled_from("ab"), st.lists(st.sampled_from("xyz"), max_size=4)
)


@given(st.lists(PLACES, max_size=12), PLACES)
def test_it_finds_what_a_walk_over_all_places_finds(places: list[Place], asked: Place):
    """Whatever touches a place, and whatever it lies in."""
    index = PlaceIndex((place, number) for number, place in enumerate(places))
    assert sorted(index.touched_by(asked)) == [n for n, place in enumerate(places) if asked.touches(place)]
    assert sorted(index.around(asked)) == [n for n, place in enumerate(places) if asked.is_in(place)]
