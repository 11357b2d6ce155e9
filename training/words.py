"""Words that may mean missing: what is said of them, and of numbers that stand among them.

Only an empty field is missing in training, as only null is in a request. A word such as `NA` is a value like any other
unless it was declared to mean missing; then the pipeline maps it, so that whoever serves the model does the same.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

# What pandas takes for missing by default, and so MLflow's scoring protocol in text/csv.
USUAL = frozenset(
    "NA N/A n/a #N/A #NA <NA> NULL null None NaN nan -NaN -nan 1.#IND 1.#QNAN -1.#IND -1.#QNAN".split()  # noqa: SIM905
) | {"#N/A N/A"}
FEW_WORDS = 5
LEAST_NUMBERS = 0.5


def word_notes(features: pd.DataFrame, declared: Sequence[str], *, is_csv: bool) -> Iterator[str]:
    """Yield what a person should know of words in text columns that were not declared to mean missing."""
    for name, column in features.items():
        if not pd.api.types.is_string_dtype(column):
            continue
        counts = column[~column.isin(declared)].value_counts()
        among = words_among_numbers(counts) if is_csv else ()
        usual = [str(word) for word in counts.index if word in USUAL]
        if among:
            yield (
                f"column '{name}' holds numbers and {_listed(among, counts)}, and is taken as text; "
                f"if that means missing: missing={','.join(among)}"
            )
        elif usual:
            yield (
                f"column '{name}' holds {_listed(usual, counts)}, which is a value and not missing, but which MLflow "
                f"reads as missing in text/csv; if it means missing: missing={','.join(usual)}"
            )


def words_among_numbers(counts: pd.Series) -> tuple[str, ...]:
    """Return the few words that stand among numbers in at least half of a column's values.

    `counts` has the column's distinct texts as its index, and how often each occurs.
    """
    is_number = pd.to_numeric(counts.index.to_series(), errors="coerce").notna().to_numpy()
    words = counts.index[~is_number]
    share = counts.to_numpy()[is_number].sum() / max(1, int(counts.sum()))
    return tuple(map(str, words)) if 0 < len(words) <= FEW_WORDS and share >= LEAST_NUMBERS else ()


def _listed(words: Sequence[str], counts: pd.Series) -> str:
    return ", ".join(f"'{word}' ({counts[word]:,} rows)" for word in words[:FEW_WORDS])
