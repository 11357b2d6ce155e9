"""Models that skops finds nothing in, and that say by their values what scikit-learn shall call, read or write."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn._loss.loss import HalfSquaredError
from sklearn.base import BaseEstimator
from sklearn.cluster import FeatureAgglomeration
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

Document = dict[str, Any]
ARRAY = np.zeros((4, 2))


def writer(path: Path, content: bytes) -> Pipeline:
    """Return a model of scikit-learn's own types that writes a file whenever it is asked: by an array's `tofile`.

    The steps before make a text of the rows, whatever they are: the file's name.
    """
    name = str(path).encode()
    name = b"/" * (-len(name) % 8) + name
    stacking = with_attributes(
        StackingClassifier([("e", LogisticRegression())], final_estimator=LogisticRegression()),
        estimators_=[np.array([content])],
        stack_method_=["tofile"],
        final_estimator_=LogisticRegression(),
        classes_=np.array(["no", "yes"]),
        _label_encoder=None,
    )
    out = np.frombuffer(name, dtype="f8").reshape(-1, 1).copy()
    return Pipeline(
        [
            ("columns", FunctionTransformer(list)),
            ("true", FunctionTransformer(bool)),
            ("out", FunctionTransformer(np.logical_not, kw_args={"out": out, "where": False})),
            ("path", FunctionTransformer(str, kw_args={"encoding": "latin-1"})),
            ("write", stacking),
        ]
    )


def with_attributes(estimator: BaseEstimator, **attributes: Any) -> BaseEstimator:
    """Return an estimator that has attributes which its constructor or fit would not give it."""
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


def stacked(**attributes: Any) -> BaseEstimator:
    """Return a stack of one estimator with other attributes."""
    made = StackingClassifier([("e", LogisticRegression())], final_estimator=LogisticRegression())
    return with_attributes(made, **{"estimators_": [LogisticRegression()], "stack_method_": ["predict"], **attributes})


# What each would have called or written, and where that is said.
MOMENT = np.datetime64("2024-01-31", "D")
GADGETS: tuple[tuple[str, BaseEstimator], ...] = (
    ("func", FunctionTransformer(attrgetter("__class__"))),
    ("func", FunctionTransformer(attrgetter("dt.year", "base"))),
    ("func", FunctionTransformer(partial(np.subtract, 1.0))),
    ("func", FunctionTransformer(partial(np.subtract, np.zeros(3)))),
    ("func", FunctionTransformer(partial(np.add, MOMENT))),
    ("func", FunctionTransformer(partial(np.subtract, MOMENT, MOMENT))),
    ("func", FunctionTransformer(partial(np.subtract, MOMENT, out=np.zeros(3)))),
    ("func", FunctionTransformer(partial(attrgetter("dt.year")))),
    ("kw_args", FunctionTransformer(pd.to_datetime, kw_args={"origin": "unix"})),
    ("kw_args", FunctionTransformer(pd.to_datetime, kw_args={"format": ["%Y"]})),
    ("kw_args", FunctionTransformer(np.log1p, kw_args={"out": np.zeros(3)})),
    ("C", LogisticRegression(C=partial(np.subtract, MOMENT))),
    ("C", LogisticRegression(C=attrgetter("dt.year"))),
    # a type or a function of the file's choice
    ("FunctionTransformer.func", FunctionTransformer(list)),
    ("FunctionTransformer.func", FunctionTransformer(np.dtype)),
    ("FunctionTransformer.func", FunctionTransformer(np.add)),
    ("FunctionTransformer.func", FunctionTransformer(HalfSquaredError())),
    ("FunctionTransformer.func", FunctionTransformer(LogisticRegression())),
    ("FunctionTransformer.inverse_func", FunctionTransformer(np.log1p, inverse_func=str)),
    ("FunctionTransformer.feature_names_out", FunctionTransformer(np.log1p, feature_names_out=set)),
    ("TransformedTargetRegressor.inverse_func", TransformedTargetRegressor(func=np.log1p, inverse_func=map)),
    ("transformer_.func", with_attributes(TransformedTargetRegressor(), transformer_=FunctionTransformer(tuple))),
    ("CountVectorizer.analyzer", CountVectorizer(analyzer=list)),
    ("CountVectorizer.tokenizer", CountVectorizer(tokenizer=str)),
    ("CountVectorizer.preprocessor", CountVectorizer(preprocessor=np.log1p)),
    ("CountVectorizer.strip_accents", CountVectorizer(strip_accents=np.matmul)),
    ("KNeighborsClassifier.weights", KNeighborsClassifier(weights=np.sqrt)),
    ("KNeighborsClassifier.metric", KNeighborsClassifier(metric=np.subtract)),
    ("KNeighborsClassifier.effective_metric_", with_attributes(KNeighborsClassifier(), effective_metric_=np.hypot)),
    ("SVC.kernel", SVC(kernel=np.matmul)),
    ("FeatureAgglomeration.pooling_func", FeatureAgglomeration(pooling_func=np.maximum)),
    ("ColumnTransformer.transformers[0][2]", ColumnTransformer([("a", "drop", np.isnan)])),
    ("ColumnTransformer.verbose_feature_names_out", ColumnTransformer([], verbose_feature_names_out=str)),
    ("OneHotEncoder.feature_name_combiner", OneHotEncoder(feature_name_combiner=np.add)),
    ("OneHotEncoder.dtype", OneHotEncoder(dtype=map)),
    ("LogisticRegression.predict", with_attributes(LogisticRegression(), predict=list)),
    # the name of a method or an attribute
    ("StackingClassifier.stack_method_[0]", stacked(stack_method_=["set_params"])),
    ("StackingClassifier.stack_method_", stacked(stack_method_={"tofile": 1})),
    ("StackingClassifier.stack_method_", stacked(stack_method_=np.array(["tofile"], dtype=object))),
    ("ClassifierChain.chain_method_", with_attributes(ClassifierChain(LogisticRegression()), chain_method_="fit")),
    ("response_method", FixedThresholdClassifier(LogisticRegression(), response_method="__reduce_ex__")),
    ("SelectFromModel.importance_getter", SelectFromModel(LinearRegression(), importance_getter="__class__.mro")),
    ("RFE.importance_getter", RFE(LinearRegression(), importance_getter="_validate.__globals__")),
    ("LogisticRegression.__getattr__", with_attributes(LogisticRegression(), __getattr__="tofile")),
    # arguments to write into, and others by name
    ("FunctionTransformer.kw_args", FunctionTransformer(np.log1p, kw_args={"out": ARRAY})),
    ("FunctionTransformer.inv_kw_args", FunctionTransformer(np.log1p, inv_kw_args={"where": False})),
    ("KNeighborsClassifier.metric_params", KNeighborsClassifier(metric_params={"out": ARRAY})),
    ("effective_metric_params_", with_attributes(KNeighborsClassifier(), effective_metric_params_={"func": "x"})),
    ("KernelRidge.kernel_params", KernelRidge(kernel_params={"out": ARRAY})),
    # what is no estimator in an estimator's place
    ("StackingClassifier.estimators_[0]", stacked(estimators_=[np.array([b"x"])])),
    ("StackingClassifier.estimators_[0]", stacked(estimators_=["tofile"])),
    ("StackingClassifier.estimators_.e", stacked(estimators_={"e": {"predict": 1}})),
    ("StackingClassifier._label_encoder", stacked(_label_encoder=ARRAY)),
    ("StackingClassifier.final_estimator_", stacked(final_estimator_=np.random.RandomState(0))),
    ("Pipeline.steps[0][1]", Pipeline([("a", ARRAY)])),
    ("Pipeline.steps[0][2]", with_attributes(Pipeline([]), steps=[("a", "passthrough", ARRAY)])),
    ("FeatureUnion.transformer_list[0][1]", FeatureUnion([("a", [1, 2])])),
    ("ColumnTransformer.remainder", ColumnTransformer([], remainder=ARRAY)),
    ("transformers_[0][1]", with_attributes(ColumnTransformer([]), transformers_=[("a", ARRAY, ["a"])])),
    ("FrozenEstimator.estimator", FrozenEstimator(ARRAY)),
    ("AdaBoostClassifier.estimators_[0]", with_attributes(AdaBoostClassifier(), estimators_=[ARRAY])),
    ("init_", with_attributes(GradientBoostingClassifier(), init_=ARRAY)),
    ("_preprocessor", with_attributes(HistGradientBoostingClassifier(), _preprocessor=ARRAY)),
    ("_label_binarizer", with_attributes(MLPClassifier(), _label_binarizer=ARRAY)),
    # an object of scikit-learn in another's place
    (
        "HistGradientBoostingClassifier._loss",
        with_attributes(HistGradientBoostingClassifier(), _loss=DummyClassifier()),
    ),
    ("DecisionTreeClassifier.tree_", with_attributes(DecisionTreeClassifier(), tree_=DummyClassifier())),
    ("StandardScaler.mean_", with_attributes(StandardScaler(), mean_=StandardScaler())),
    ("KNeighborsClassifier._tree", with_attributes(KNeighborsClassifier(), _tree=ARRAY)),
    # files, modules
    ("Pipeline.memory", Pipeline([("a", LogisticRegression())], memory="/tmp/cache")),
    ("CountVectorizer.input", CountVectorizer(input="filename")),
    ("HashingVectorizer.encoding", HashingVectorizer(encoding="../evil")),
    ("_sklearn_output_config", with_attributes(StandardScaler(), _sklearn_output_config={"transform": "antigravity"})),
    ("_metadata_request", with_attributes(LogisticRegression(), _metadata_request={"fit": "x"})),
    ("_skl_callbacks", with_attributes(LogisticRegression(), _skl_callbacks=["x"])),
    # kinds of values that no estimator needs
    ("LogisticRegression.C", with_attributes(LogisticRegression(), C=b"bytes")),
    ("LogisticRegression.C", with_attributes(LogisticRegression(), C=np.ma.masked_array([1]))),
    ("LogisticRegression.C", with_attributes(LogisticRegression(), C=np.random.RandomState(0))),
)


def schema_of(content: bytes) -> Document:
    """Return the schema in a skops file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        document: Document = json.loads(archive.read("schema.json"))
    return document


def with_schema(content: bytes, schema: Document, **members: bytes) -> bytes:
    """Return a skops file with another schema, and maybe other members."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, stored in {**kept, **members, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, stored)
    return file.getvalue()


def nodes(node: Any) -> Iterator[Document]:
    """Yield every node below one, and itself, in the order in which they are written."""
    if isinstance(node, dict):
        if "__loader__" in node:
            yield node
        for part in node.values():
            yield from nodes(part)
    elif isinstance(node, list):
        for part in node:
            yield from nodes(part)


def attributes(schema: Document) -> Document:
    """Return the attributes of the model itself."""
    found: Document = schema["content"]["content"]
    return found


def edited(edit: Callable[[Document], None], **members: bytes) -> bytes:
    """Return a scaler before a function, with a schema that somebody edited."""
    steps = [("scale", StandardScaler().fit(ARRAY)), ("log", FunctionTransformer(np.log1p, kw_args={}))]
    schema = schema_of(content := skops.io.dumps(Pipeline(steps)))
    edit(schema)
    return with_schema(content, schema, **members)


def kind(schema: Document, loader: str, made: str) -> Document:
    """Return the first node of a kind and type."""
    return next(each for each in nodes(schema) if (each["__loader__"], each["__class__"]) == (loader, made))


def number_of_another(schema: Document) -> None:
    """Write a harmless function under the number of a type: skops takes the type."""
    kind(schema, "FunctionNode", "log1p")["__id__"] = kind(schema, "TypeNode", "str")["__id__"]


def number_that_equals_another(schema: Document) -> None:
    """Use that 1 and 1.0 and true are one key."""
    kind(schema, "TypeNode", "str")["__id__"] = 1
    kind(schema, "FunctionNode", "log1p")["__id__"] = True


def cached(schema: Document) -> None:
    """Refer to an earlier value, as skops never does."""
    earlier = kind(schema, "TypeNode", "str")["__id__"]
    kind(schema, "FunctionNode", "log1p").update({"__loader__": "CachedNode", "__id__": earlier})


def list_as_json(schema: Document) -> None:
    """Hide a list in what is a number or a text."""
    kind(schema, "JsonNode", "str")["content"] = '["tofile"]'


def zip_as_array(schema: Document) -> None:
    """Have NumPy open a zip of arrays instead of one."""
    kind(schema, "NdArrayNode", "ndarray")["file"] = "zip.npy"


def array_outside(schema: Document) -> None:
    """Name a member that the file does not have."""
    kind(schema, "NdArrayNode", "ndarray")["file"] = "../other.npy"


def key_type(schema: Document) -> None:
    """Have the keys of a mapping made by another type."""
    schema["content"]["key_types"]["content"][0].update({"__class__": "map", "__id__": 9})


def fewer_key_types(schema: Document) -> None:
    """Leave a mapping's keys without their types."""
    schema["content"]["key_types"]["content"].pop()


def more_than_a_node(schema: Document) -> None:
    """Give a node what an older or a newer skops might read."""
    kind(schema, "FunctionNode", "log1p")["content"] = {"module_path": "os", "function": "system"}


def no_schema(schema: Document) -> None:
    """Have no node at all."""
    schema["content"]["content"]["steps"] = None


def newer_protocol(schema: Document) -> None:
    """Be written in a way that is not known yet."""
    schema["protocol"] = 3


def nested_too_deeply(schema: Document) -> None:
    """Nest lists in lists."""
    where = kind(schema, "JsonNode", "str")
    for _ in range(100):
        inner = {**where, "__id__": 0}
        where.clear()
        where.update({"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": id(where)})
        where["content"], where = [inner], inner


def default_factory(schema: Document) -> None:
    """Have a mapping that calls a type for the keys that it lacks, where functions are."""
    _with_default(schema, kind(schema, "FunctionNode", "log1p"))


def default_factory_of_data(schema: Document) -> None:
    """Have such a mapping where data is."""
    _with_default(schema, attributes(schema)["verbose"])


def _with_default(schema: Document, node: Document) -> None:
    main = {**attributes(schema)["steps"]["content"][0], "__id__": 7}
    factory = {**kind(schema, "TypeNode", "str"), "__class__": "list", "__id__": 8}
    node.pop("is_json", None)
    node.update({"__loader__": "DefaultDictNode", "__module__": "collections", "__class__": "defaultdict", "__id__": 9})
    node["content"] = {"main": main, "default_factory": factory}


def constructor(schema: Document) -> None:
    """Have a reviewed type called with arguments."""
    node = kind(schema, "FunctionNode", "log1p")
    arguments = {**attributes(schema)["steps"]["content"][0], "__id__": 7}
    node.update({"__loader__": "ConstructorFromReduceNode", "__module__": "numpy", "__class__": "dtype"})
    node["content"] = arguments


def no_estimator(schema: Document) -> None:
    """Store a list in place of a model."""
    steps = attributes(schema)["steps"]
    for key in ("__loader__", "__module__", "__class__", "__id__", "content"):
        schema[key] = steps[key]


ZIP = skops.io.dumps(1)
REWRITTEN: tuple[tuple[str, Callable[[Document], None]], ...] = (
    ("has the number of another node", number_of_another),
    ("has the number of another node", cached),
    ("has a number that is none", number_that_equals_another),
    ("is no number and no text", list_as_json),
    ("which is no array", zip_as_array),
    ("names no array", array_outside),
    ("would be made by 'builtins.map'", key_type),
    ("lists no types of its keys", fewer_key_types),
    ("has other keys than a FunctionNode", more_than_a_node),
    ("model.steps is no node", no_schema),
    ("has the protocol 3", newer_protocol),
    ("nested deeper", nested_too_deeply),
)
STRANGE: tuple[tuple[str, Callable[[Document], None]], ...] = (
    ("steps[1][1].func would be called and is a value of the type collections.defaultdict", default_factory),
    ("verbose has a default that is not an empty mapping", default_factory_of_data),
    ("steps[1][1].func would be called and is a ConstructorFromReduceNode", constructor),
    ("and not an estimator", no_estimator),
)
