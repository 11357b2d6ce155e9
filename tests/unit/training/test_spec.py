"""Parameters are typed and judged in one place, all wrong ones at once."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.training.spec import Task, parse_spec

GIVEN = {"data": "sklearn:iris", "target": "target", "model": "iris"}


def test_strings_of_an_mlproject_become_typed_values():
    """MLproject hands over text; the spec holds numbers, flags, JSON and absent values."""
    spec = parse_spec(
        {
            **GIVEN,
            "params": '{"max_depth": 3}',
            "task": "auto",
            "holdout": "0.3",
            "key": "",
            "cv": "5",
            "register": "false",
        }
    )
    assert (spec.params, spec.task, spec.holdout, spec.key, spec.cv, spec.register_version) == (
        {"max_depth": 3},
        None,
        0.3,
        None,
        5,
        False,
    )


def test_a_task_can_be_given():
    """`task=regression` overrides what the target looks like."""
    assert parse_spec({**GIVEN, "task": "regression"}).task is Task.REGRESSION


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("holdout", "2", "holdout='2': Input should be less than 1"),
        ("holdout", "much", "holdout='much': Input should be a valid number"),
        ("cv", "-1", "cv='-1': Input should be greater than or equal to 0"),
        ("params", "{depth", "params='{depth': not JSON at column 2"),
        ("cv", "1", "cv='1': one fold leaves no rows to fit on; expected 0 for none, or 2 to 100"),
        ("params", '{"C": 1, "C": 2}', "'C' is there twice; keep one"),
        ("params", "[" * 100_000, "nested too deeply"),
        ("params", '{"C": ' + "9" * 5000 + "}", "params='{"),
        ("model", "m\udcff", "it holds NUL or bytes that are not UTF-8, and cannot be recorded"),
        ("params", "[1]", "params=[1]: Input should be a valid dictionary"),
        ("task", "ranking", "task='ranking': Input should be 'classification' or 'regression'"),
        ("serialization", "pickle", "serialization='pickle': Input should be 'skops' or 'cloudpickle'"),
        ("target", "", "target='': String should have at least 1 character"),
        ("seed", "x", "seed='x': Input should be a valid integer"),
        ("holdout_rows", "perhaps", "holdout_rows='perhaps': Input should be a valid boolean"),
        ("sep", "ab", "sep='ab': expected one character such as ; or the word tab"),
        ("sep", ".", "sep='.': expected one character"),
        ("decimal", ";", "decimal=';': Input should be '.' or ','"),
        ("encoding", "utf-9", "encoding='utf-9': no encoding of text files; expected one such as utf-8, cp1252"),
        ("dtype", "plz", "'plz' names no column; expected column=string"),
        ("dtype", "plz=text", "dtype.plz='text': expected string, number, or a format of dates such as %d.%m.%Y"),
        ("dtype", "a=string,a=number", "'a' is there twice; keep one"),
        ("dates", "both", "dates='both': Input should be 'ignore' or 'expand'"),
        ("drop", "[1]", "drop.0=1: Input should be a valid string"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_given_and_expected(parameter: str, value: str, said: str):
    """One line says which parameter, which value, and what it should be."""
    with pytest.raises(InvalidInput) as caught:
        parse_spec({**GIVEN, parameter: value})
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500


def test_parameters_that_no_run_could_record_are_refused():
    """Half of a surrogate pair, which JSON can write and no database takes."""
    with pytest.raises(InvalidInput, match=r"criterion holds the character \\ud800, which cannot be kept"):
        parse_spec({**GIVEN, "params": '{"criterion": "\\ud800"}'})


def test_all_wrong_values_are_said_at_once():
    """Nobody should have to mend one parameter to learn of the next."""
    with pytest.raises(InvalidInput, match=r"holdout=.*; cv="):
        parse_spec({**GIVEN, "holdout": "2", "cv": "-1"})


def test_columns_and_their_types_stand_between_commas_or_as_json():
    """A name may hold a comma or an equals sign; what is recorded of it can be given again."""
    plain = parse_spec({**GIVEN, "drop": " id, note ,id", "dtype": "a=b=string, plz = number"})
    assert (plain.drop, plain.dtype) == (("id", "note"), {"a=b": "string", "plz": "number"})
    odd = parse_spec({**GIVEN, "drop": '["a, b", "c"]', "dtype": '{"a, b": "string"}', "sep": "tab"})
    assert (odd.drop, odd.dtype, odd.sep) == (("a, b", "c"), {"a, b": "string"}, "\t")
    for spec in (plain, odd):
        recorded = {name: str(value) for name, value in spec.recorded().items()}
        assert parse_spec(recorded) == spec


def test_either_what_to_learn_from_or_what_to_leave_out_is_named():
    """Both at once would say one thing twice, or contradict."""
    with pytest.raises(InvalidInput, match="features names all columns that are learned from"):
        parse_spec({**GIVEN, "drop": "a", "features": "b"})
