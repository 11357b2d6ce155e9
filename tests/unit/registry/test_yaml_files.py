"""YAML that something is decided on has one meaning, or is refused with its line."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.policy.policy_file import PolicyFile, load_policy
from slipway.registry.settings import RegistrySettings, load_settings
from slipway.registry.yaml_files import parsed

POLICY = "stages: {production: {checks: {lineage: {}}}}\n"
DEEP = "[" * 5000 + "]" * 5000
UNREADABLE = [
    (f"{POLICY}# caf\xe9".encode("latin-1"), "line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    (POLICY.encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
    (f"# a\nx: 2020-99-99\n{POLICY}".encode(), "line 2: it is no timestamp: .*; if text is meant, write it in quotes"),
    (f"# a\nx: {'9' * 5000}\n{POLICY}".encode(), "line 2: it is no int: "),
    (f"# a\nx: 0x{'f' * 5000}\n{POLICY}".encode(), "line 2: a number has too many digits"),
    (b"# a\nx: !!bool perhaps", "line 2: it is no bool: "),
    (b"# a\nx: !!timestamp soon", "line 2: it is no timestamp: "),
    (b"# a\nx: !!python/object:os.system {}", "line 2: could not determine a constructor"),
    (f"x: {DEEP}".encode(), "it is nested too deeply"),
    (b"# a\nx: \0", "line 2: it has the character #x0000, which is no text"),
    (b'# a\nx: "\\UFFFFFFFF"', "line 2: an escape sequence stands for no character"),
    (b'# a\nx: "\\UF0000000"', "line 2: an escape sequence stands for no character"),
    (b'# a\nx: "\\ud800"', "line 2: it is no str: "),
    (b"# a\nx: [", "line 2: it is not YAML: "),
    (b"# a\nx: &a {y: *a}", "line 2: it contains itself"),
    (
        "\n".join(["a0: &a0 [1]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9))]).encode(),
        "stands for more than 1000000 values",
    ),
    (b"a: 1\nb: 2\na: 3", "line 3: the key 'a' is there twice"),
    (b"a: {b: 1,\n b: 2}", "line 2: the key 'b' is there twice"),
    (b"# a\n123: {}", "line 2: the key 123 is no text; write it in quotes: '123'"),
    (b"x:\n  yes: {}", "line 2: the key yes is no text"),
    (b"x:\n  1.5: {}", "line 2: the key 1.5 is no text"),
    (b"x:\n  2020-01-01: {}", "line 2: the key 2020-01-01 is no text"),
    (b"x:\n  null: {}", "line 2: the key null is no text"),
    (b"x:\n  [a, b]: {}", "line 2: a key is no text"),
    (b"# a\nx: 017", "line 2: a number with a zero before it is read in two ways; write it as a plain decimal"),
    (b"# a\nx: [-0_7]", "line 2: a number with a zero before it is read in two ways; write it as a plain decimal"),
    (b"# a\nx: 090", "line 2: a number with a zero before it is read in two ways; write it as a plain decimal"),
    (b"# a\nx: !!int '017'", "line 2: a number with a zero before it is read in two ways; write it as a plain decimal"),
    (b"# a\n08: {}", "line 2: a number with a zero before it is read in two ways; write it as a plain decimal"),
    (b"# a\nx: 1:30", "line 2: a number of base 60 is read in two ways"),
    (b"# a\nx: {y: -1:30.5}", "line 2: a number of base 60 is read in two ways"),
]


@pytest.mark.parametrize(("content", "said"), UNREADABLE, ids=[said for _, said in UNREADABLE])
def test_what_has_not_one_meaning_is_refused_with_its_line(tmp_path: Path, content: bytes, said: str):
    """In the policy and in the settings alike, naming the file."""
    (tmp_path / "promotion.yaml").write_bytes(content)
    (tmp_path / "slipway.yaml").write_bytes(content)
    with pytest.raises(InvalidInput, match=f"wrong policy in .*promotion.yaml: .*{said}"):
        load_policy(tmp_path / "promotion.yaml")
    with pytest.raises(InvalidInput, match=f"wrong settings in .*slipway.yaml: .*{said}"):
        load_settings(RegistrySettings, "registry", environ={}, folder=tmp_path)


def load_both(folder: Path, name: str) -> object:
    """Load the policy or the settings of a folder."""
    if name == "promotion.yaml":
        return PolicyFile(folder / name)()
    return load_settings(RegistrySettings, "registry", environ={}, folder=folder)


@pytest.mark.parametrize("name", ["promotion.yaml", "slipway.yaml"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.mkdir, "it is no file; put a file in its place, or remove it"),
        (os.mkfifo, "it is no file"),
        (lambda path: path.symlink_to("nowhere.yaml"), r"it is a link to nowhere\.yaml, which is not there"),
        (lambda path: path.symlink_to(path.name), "it cannot be read: Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_is_refused_and_not_taken_for_none(
    tmp_path: Path, name: str, make: Callable[[Path], object], said: str
):
    """The default in its place would be another than was meant; a server asks each time."""
    make(tmp_path / name)
    with pytest.raises(InvalidInput, match=f"wrong (policy|settings) in .*{name}: {said}"):
        load_both(tmp_path, name)


def test_a_server_meets_a_policy_that_became_a_link_to_nowhere(tmp_path: Path):
    """Where there was none, and the default policy held."""
    policies = PolicyFile(tmp_path / "promotion.yaml")
    assert policies().source == "the default policy"
    (tmp_path / "promotion.yaml").symlink_to("nowhere.yaml")
    with pytest.raises(InvalidInput, match=r"it is a link to nowhere\.yaml, which is not there"):
        policies()


def test_a_server_whose_policy_is_gone_does_not_go_on_by_the_default(tmp_path: Path):
    """Whoever could delete the file would else choose what is asked of a version; put back, it holds again."""
    path = tmp_path / "promotion.yaml"
    path.write_text("stages: {production: {checks: {approval: {}}}}")
    policies = PolicyFile(path)
    held = policies()
    path.rename(tmp_path / "aside")
    with pytest.raises(InvalidInput, match=r"the policy at .*promotion\.yaml is gone, and was there"):
        policies()
    assert policies.last() is held
    (tmp_path / "aside").rename(path)
    assert policies().document == held.document


def test_a_policy_of_the_same_size_time_and_place_is_read_anew(tmp_path: Path):
    """As archives and images that are built alike have it: who was named before is named no more."""
    path = tmp_path / "promotion.yaml"
    policies, found = PolicyFile(path), []
    for who in ("ann", "bob"):
        with path.open("r+" if path.exists() else "w") as file:  # the same inode
            file.write(f"stages: {{production: {{checks: {{lineage: {{}}}}, roles: {{promote: [{who}]}}}}}}")
        os.utime(path, (0, 0))
        found.append(policies().document["stages"]["production"]["roles"])
    assert found == [{"promote": ["ann"]}, {"promote": ["bob"]}]


@pytest.mark.parametrize(
    "text",
    [
        "stages: {production: {checks: {lineage: {}}, roles: {promote: , override: []}}}",
        "stages:\n  production:\n    checks: {lineage: {}}\n    verdict_by:\n",
        "stages: {production: {checks: {lineage: {}}}}\nmodels:\n  churn:\n    production:\n",
    ],
)
def test_a_key_of_a_policy_with_nothing_behind_it_is_refused(tmp_path: Path, text: str):
    """What stood there was commented out, or meant as nobody; YAML says null, which takes away what is above."""
    (tmp_path / "promotion.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"line \d+: \w+: there is nothing behind it: write \[\] for nobody"):
        load_policy(tmp_path / "promotion.yaml")
    (tmp_path / "promotion.yaml").write_text("stages: {production: {checks: {lineage: {}}, verdict_by: null}}")
    assert load_policy(tmp_path / "promotion.yaml").default.stages["production"].verdict_by is None


@pytest.mark.parametrize("text", ["[registry]", "registry", "7", "registry: 7", "registry: [policy]", "training: true"])
def test_settings_are_sections_of_settings(tmp_path: Path, text: str):
    """Whatever else is there is refused."""
    (tmp_path / "slipway.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"it has no sections|is no mapping of settings"):
        load_settings(RegistrySettings, "registry", environ={}, folder=tmp_path)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "registry:\n", "registry: {}\n"])
def test_settings_may_be_empty(tmp_path: Path, text: str):
    """The defaults hold then."""
    (tmp_path / "slipway.yaml").write_text(text)
    assert load_settings(RegistrySettings, "registry", environ={}, folder=tmp_path) == RegistrySettings()


def test_a_secret_in_a_file_that_is_no_yaml_is_not_repeated(tmp_path: Path):
    """What stands beside a mistake is not shown."""
    (tmp_path / "slipway.yaml").write_text("registry: {history_uri: 'postgresql://me:hunter2@db/x', policy: @a}")
    with pytest.raises(InvalidInput, match="line 1: it is not YAML") as refused:
        load_settings(RegistrySettings, "registry", environ={}, folder=tmp_path)
    assert "hunter2" not in refused.value.message


def test_a_secret_of_digits_is_not_repeated(tmp_path: Path):
    """With a zero before it, it is refused as a number."""
    (tmp_path / "slipway.yaml").write_text("registry: {history_uri: 01234567}")
    with pytest.raises(InvalidInput, match="line 1: a number with a zero before it") as refused:
        load_settings(RegistrySettings, "registry", environ={}, folder=tmp_path)
    assert "1234567" not in refused.value.message


@pytest.mark.parametrize("text", ["2020-99-99", "9" * 5000, DEEP])
def test_a_variable_that_is_no_yaml_is_text(tmp_path: Path, text: str):
    """So it was for what YAML cannot parse."""
    environ = {"SLIPWAY_REGISTRY__POLICY": text}
    assert str(load_settings(RegistrySettings, "registry", environ=environ, folder=tmp_path).policy) == text


def test_numbers_that_are_read_in_one_way_stay():
    """Zero, fractions, hexadecimal numbers, underscores; and in quotes whatever is meant as text."""
    text = "[0, 0.5, -0, 0x1f, 1_000, 1.5e+3, '017', \"1:30\", a:1b, 127.0.0.1:80]"
    same = [0, 0.5, 0, 31, 1000, 1500.0, "017", "1:30", "a:1b", "127.0.0.1:80"]
    assert parsed(text.encode(), by_hand=True) == same


@pytest.mark.parametrize(("text", "value"), [("017", 17), ("64", 64)])
def test_a_variable_is_a_decimal_number(text: str, value: int):
    """017 was 15: nobody writes octal numbers into a variable."""
    environ = {"SLIPWAY_REGISTRY__CACHE_MAX_MB": text}
    assert load_settings(RegistrySettings, "registry", environ=environ, folder=Path("nowhere")).cache_max_mb == value


def test_anchors_and_merges_stay(tmp_path: Path):
    """Their meaning is one: what is written beside a merge wins."""
    text = """
    base: &base {x: 1, y: {z: 1}}
    deep: {inner: &inner {<<: *base, x: 2}}
    other: {<<: *inner, x: 3}
    same: *base
    """
    assert parsed(text.encode(), by_hand=True) == {
        "base": {"x": 1, "y": {"z": 1}},
        "deep": {"inner": {"x": 2, "y": {"z": 1}}},
        "other": {"x": 3, "y": {"z": 1}},
        "same": {"x": 1, "y": {"z": 1}},
    }
