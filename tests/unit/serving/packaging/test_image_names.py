"""How images are named: what no engine or registry would take is refused before anything is built."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.serving.packaging.image_names import checked_name, checked_place


@pytest.mark.parametrize(
    "name", ["cancer:3", "slipway/cancer:3", "example.org:5000/a/b_c/d--e:V_1.2-x", "localhost/a:1", "[::1]:5000/a:1"]
)
def test_a_name_that_registries_take_is_taken_as_it_is(name: str):
    """With folders, ports, and every mark that the grammar has."""
    assert checked_name(name, "--name") == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cancer", "names no tag"),
        ("example.org:5000/cancer", "names no tag"),
        ("cancer:", "is no name"),
        (":3", "is no name"),
        ("Cancer:3", "is no name"),
        ("a//b:3", "is no name"),
        ("a/-b:3", "is no name"),
        ("a b:3", "is no name"),
        ("a:b c", "is no name"),
        ("a:-3", "is no name"),
        (f"a:{'3' * 121}", "is no name"),
        ("ü:3", "is no name"),
        ("a:3\n", "is no name"),
        ("http://example.org/a:3", "is no name"),
        (f"a@sha256:{'0' * 64}", "names a digest"),
    ],
)
def test_what_is_no_name_is_refused(name: str, why: str):
    """Whether it is a tag that is missing, a capital, or a mark that means something else."""
    with pytest.raises(InvalidInput, match=why) as refused:
        checked_name(name, "--name")
    assert refused.value.code == "wrong-image-name"


def test_a_place_names_its_registry():
    """What a short name means depends on the machine; `docker://` is how skopeo writes one."""
    assert checked_place("docker://127.0.0.1:5000/iris:3") == "127.0.0.1:5000/iris:3"
    assert checked_place("localhost/iris:3") == "localhost/iris:3"
    for place in ("iris:3", "team/iris:3", "docker://team/iris:3"):
        with pytest.raises(InvalidInput, match="names no registry"):
            checked_place(place)
