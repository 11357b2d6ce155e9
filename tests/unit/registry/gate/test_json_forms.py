"""What a caller sees of an answer in JSON."""

import numpy as np
import pandas as pd
import pytest

from slipway.registry.gate.json_forms import json_form, plain


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (np.array(["no", "yes"]), "list of text"),
        (np.array(["no", None], dtype=object), "list of text"),
        (pd.Series(["no", "yes"], dtype=object), "list of text"),
        (np.array([1, 2], dtype=np.int32), "list of whole numbers"),
        (np.array([1.5], dtype=np.float32), "list of numbers"),
        (np.array([True]), "list of truth values"),
        (np.array([[0.5, 0.5]]), "list of list of numbers"),
        (np.array([np.int64(1), "a"], dtype=object), "list of text or whole numbers"),
        (pd.DataFrame({"a": [1], "b": ["x"]}), "list of {a: whole numbers, b: text}"),
        (pd.DataFrame({"a": ["x", None]}, dtype=object), "list of {a: text}"),
        ([], "list of nothing"),
    ],
)
def test_an_answer_has_the_form_of_its_json(answer: object, form: str):
    """Whatever held it in Python."""
    assert json_form(plain(answer)) == form


def test_names_of_a_table_are_texts():
    """MLflow answers for PyTorch with a table whose columns are numbers; in JSON no name is one."""
    assert plain(pd.DataFrame([[0.5, 1.5]])) == [{"0": 0.5, "1": 1.5}]
