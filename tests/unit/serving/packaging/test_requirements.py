"""Which libraries an image holds: what the engine needs and what the version recorded, against the lock."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.serving.packaging.requirements import WantedLibraries, wanted

OURS = (
    "mlflow<3.18,>=3.17",
    "scikit-learn>=1.9",
    "matplotlib>=3.11",
    "sqlalchemy>=2.0",
    "psycopg[binary]>=3.3",
    'pytest>=9; extra == "dev"',
)
LOCK = """# made by uv
scikit-learn==1.9.1
numpy==2.4.6 ; python_version < '3.12'
numpy==2.5.0 ; python_version >= '3.12'
"""


def of(*recorded: str, extra: tuple[str, ...] = ()) -> WantedLibraries:
    return wanted(OURS, recorded, LOCK, extra=extra)


def test_what_only_trains_or_reads_a_registry_is_left_out():
    """Of MLflow, what loads a model is enough; extras of ours are no part of it."""
    assert of().requirements == ("scikit-learn>=1.9", "mlflow-skinny<3.18,>=3.17")


def test_following_a_registry_takes_what_reads_one():
    """The whole of MLflow, and the database's driver with its extra."""
    found = of(extra=("tracking",)).requirements
    assert {"mlflow<3.18,>=3.17", "sqlalchemy>=2.0", "psycopg[binary]>=3.3"} <= set(found)
    assert not [each for each in found if each.startswith(("mlflow-skinny", "matplotlib", "tracking"))]


def test_what_the_version_recorded_is_installed():
    """With its comments and empty lines left out; MLflow itself is the engine's to choose."""
    found = of("mlflow==3.17.2", "", "# a comment", "lightgbm==4.6.0  # trees", "scikit-learn==1.9.1")
    assert found.requirements[-2:] == ("lightgbm==4.6.0", "scikit-learn==1.9.1")
    assert found.unlike_lock == ()
    assert len(found.constraints) == 3


def test_another_release_than_the_locks_is_the_versions_to_choose():
    """It is said, and the lock does not stand against it; nor against what it says nothing of."""
    found = of("scikit-learn==1.9.0", "numpy==2.5.0")
    assert found.unlike_lock == ("scikit-learn==1.9.0 as the version recorded it; our lock has 1.9.1",)
    assert [line.split("==")[0] for line in found.constraints] == ["numpy", "numpy"]


def test_more_is_added_by_name():
    """Whoever needs Parquet says so."""
    assert of(extra=("pyarrow>=23",)).requirements[-1] == "pyarrow>=23"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r other.txt", "cannot be read"),
        ("mine @ https://example.org/mine.whl", "names a place"),
        ("scikit learn", "cannot be read"),
        ("./mine", "cannot be read"),
    ],
)
def test_what_names_no_release_is_refused(line: str, said: str):
    """An option, a place or a typing error would give another image tomorrow, or none."""
    with pytest.raises(InvalidInput, match=said) as refused:
        of(line)
    assert refused.value.hint
