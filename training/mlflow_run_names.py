"""How runs are called: by what they are, in a list of many."""

from mlflow.utils.name_utils import _GENERATOR_NOUNS, _GENERATOR_PREDICATES

from slipway.registry.text import cleaned

RUN_NAME_CHARACTERS = 250  # MLflow 3.17's column; PostgreSQL refuses more


def run_name(subject: str, action: str) -> str:
    """Return how a run about a model or a version is called.

    >>> run_name("cancer/3", "random_forest")
    'cancer/3: random_forest'
    """
    return cleaned(f"{subject}: {action}", RUN_NAME_CHARACTERS)


def estimator_name(estimator: str) -> str:
    """Return the short form of an estimator's name: the last word of a dotted path.

    >>> estimator_name("sklearn.ensemble.ExtraTreesClassifier")
    'ExtraTreesClassifier'
    """
    return estimator.rpartition(".")[2]


def is_generated(name: str) -> bool:
    """Return whether a name is one that MLflow makes up (`bemused-fox-123`), and nobody chose it.

    `mlflow run` opens its run before our code starts and leaves no other trace of whether `--run-name` was given.
    Names of a server whose MLflow has other words are taken for somebody's own.
    """
    predicate, *noun, number = name.split("-") if name.count("-") == 2 else ("", "", "")
    return number.isdecimal() and predicate in _predicates() and noun[0] in _nouns()


def _predicates() -> set[str]:
    return {word.lower() for word in _GENERATOR_PREDICATES}


def _nouns() -> set[str]:
    return {word.lower() for word in _GENERATOR_NOUNS}
