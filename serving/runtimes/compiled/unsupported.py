"""Why a fitted model, or a part of it, cannot be run by our own code."""


class NotCompilable(Exception):
    """Say in words what stands against it; the next kind of runner is tried."""


def type_name(fitted: object) -> str:
    """Return a class's name for a reason, with its module where it is not scikit-learn's."""
    kind = type(fitted)
    return kind.__name__ if kind.__module__.startswith("sklearn.") else f"{kind.__module__}.{kind.__name__}"
