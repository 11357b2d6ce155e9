"""What is said of a model's libraries."""

from importlib.metadata import version
from pathlib import Path

import pytest

from slipway.serving.runtimes.verification.libraries import other_libraries

NUMPY = version("numpy")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"numpy=={NUMPY}", ""),
        ("numpy", ""),
        ("numpy==0.1", f"numpy==0.1 is {NUMPY} here"),
        ("numpy<1  # old", f"numpy<1 is {NUMPY} here"),
        ("no-such-library==3", "no-such-library==3 is not installed"),
        ("no-such-library==3; python_version < '3'", ""),
        ("numpy; os_name ~= 'posix'", "numpy; os_name ~= 'posix' cannot be told"),
        ("numpy; extra == 'x'", ""),
        ("--extra-index-url somewhere", ""),
        ("", ""),
    ],
)
def test_only_what_is_not_met_is_named(line: str, said: str, tmp_path: Path):
    """With what there is instead."""
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    assert other_libraries(tmp_path) == said


def test_what_is_no_text_is_read_as_far_as_it_is(tmp_path: Path):
    """An engine could prepare no version of it else."""
    (tmp_path / "requirements.txt").write_bytes(b"numpy==0.1\n# \xff\n")
    assert other_libraries(tmp_path) == f"numpy==0.1 is {NUMPY} here"


def test_a_model_without_requirements_has_none_to_name(tmp_path: Path):
    """As some flavors store them."""
    assert other_libraries(tmp_path) == ""
