"""What a value of a skops file may be in its place, so that no value says what scikit-learn calls.

skops proves that a file makes known types alone. scikit-learn goes on from there: it calls what lies in `func`, asks
what lies in `estimators_` for the method that `stack_method_` names, and hands over `kw_args`, among them arrays to
write into. So values are data (numbers, texts, arrays, and mappings and lists of them), except in places that are
listed here with what each may hold. Read from scikit-learn 1.9; what is not listed needs the policy's word.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from slipway.registry.gate.safety.boosters import BOOSTER_ESTIMATORS, BOOSTERS, CATBOOST_ESTIMATORS, OF_BYTES, OF_TEXT
from slipway.registry.gate.safety.reviewed_estimators import REVIEWED_ESTIMATORS
from slipway.registry.gate.safety.skops_nodes import UNREVIEWED, Node, inside

Strange = Iterator[str]
Rule = Callable[[Node, str], Strange]

CONTAINERS = ("DictNode", "ListNode", "TupleNode", "ObjectArrayNode")
NO_OBJECTS = Node(kind="ObjectArrayNode", type="numpy.ndarray")
OBJECTS = ("ObjectNode", "TreeNode", "LossNode")
SCALARS = re.compile(
    r"numpy\.(ndarray|str_|bytes_|bool_?|u?int\d+|u?longlong|float\d+|longdouble|complex\d+|(date|time)\w+)"
)
DTYPES = re.compile(r"builtins\.(float|int|bool|str)|numpy\.(str_|object_|bool_?|u?int\d+|u?longlong|float\d+)")
WORDS = ("passthrough", "drop", "zero", "deprecated", "auto", "identity", "log")
METHODS = ("auto", "predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
CALLED_NUMPY = (
    *("absolute", "fabs", "sign", "negative", "positive", "reciprocal", "square", "sqrt", "cbrt"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("deg2rad", "rad2deg", "degrees", "radians", "ceil", "floor", "rint", "trunc"),
    *("isfinite", "isinf", "isnan", "logical_not"),
)
CALLED_SCIPY = ("expit", "logit", "cbrt", "exp2", "expm1", "log1p")
# Functions of one array without a side effect, by the modules under which skops and its versions of NumPy name them.
CALLED = frozenset(
    [f"{module}.{name}" for module in ("numpy", "numpy._core._multiarray_umath") for name in CALLED_NUMPY]
    + [f"scipy.special.{module}.{name}" for module in ("_special_ufuncs", "_ufuncs") for name in CALLED_SCIPY]
)
# What takes a column of dates apart: each makes an array of another, or a tuple of them.
CALLED |= {"pandas.to_datetime", "pandas.core.tools.datetimes.to_datetime", "numpy.transpose"}
SUBTRACT = ("numpy.subtract", "numpy._core._multiarray_umath.subtract")
MOMENT = Node(kind="NdArrayNode", type="numpy.datetime64")
TAKEN_OF_DATES = frozenset(
    f"dt.{name}"
    for name in (
        *("year", "quarter", "month", "day", "day_of_week", "day_of_year", "hour", "minute", "second"),
        *("days", "seconds"),
    )
)

METRIC_OF_NEIGHBOURS = "the metric of a tree of neighbours"
# Objects that are no estimators, and the only places in which scikit-learn puts them.
HOLDERS: Mapping[str, tuple[str, ...]] = {
    "sklearn._loss._loss.": ("closs",),
    "sklearn._loss.link.Interval": ("interval_y_true", "interval_y_pred"),
    "sklearn._loss.link.": ("link",),
    "sklearn._loss.loss.": ("_loss", "_base_loss"),
    "sklearn.ensemble._hist_gradient_boosting.binning.": ("_bin_mapper",),
    "sklearn.ensemble._hist_gradient_boosting.predictor.": ("_predictors",),
    "sklearn.linear_model._sgd_fast.": ("_loss_function_", "loss_function_"),
    "sklearn.metrics._dist_metrics.": (METRIC_OF_NEIGHBOURS,),
    "sklearn.neighbors._ball_tree.": ("_tree", "tree_"),
    "sklearn.neighbors._kd_tree.": ("_tree", "tree_"),
    "sklearn.neural_network._stochastic_optimizers.": ("_optimizer",),
    "sklearn.tree._tree.": ("tree_",),
    **dict.fromkeys(BOOSTERS, ("_Booster",)),
}
ESTIMATORS = (
    *("base_estimator", "base_estimator_", "best_estimator_", "estimator", "estimator_", "estimators", "estimators_"),
    *("final_estimator", "final_estimator_", "named_estimators_", "calibrated_classifiers_", "calibrators"),
    *("regressor", "regressor_", "classifier", "classifier_", "transformer", "transformer_", "steps"),
    *("transformers", "transformers_", "transformer_list", "remainder", "_remainder", "_preprocessor"),
    *("init_", "imputer_", "initial_imputer_", "indicator_", "binarizer_", "label_binarizer_", "_label_binarizer"),
    *("_label_encoder", "le_", "_le", "_encoder", "one_hot_encoder_", "_scaler", "_centerer", "_tfidf", "nbrs_"),
    *("nn_fit", "kernel_pca_"),
)
# Of these, each is a name, an estimator, and columns; what is no estimator's may be any data.
WITH_COLUMNS = ("transformers", "transformers_", "_remainder")
RANDOM = ("random_state", "random_state_", "_random_state", "_rng", "_feature_subsample_rng")


def strange_values(model: Node) -> Strange:
    """Yield in words what of a model would be called, or say what is called, and is not on the list."""
    if model.kind != "ObjectNode" or not _is_estimator(model):
        yield f"the model is {_named(model)}, and not an estimator"
    else:
        yield from _object(model, model.type.rpartition(".")[2])


def _object(node: Node, where: str) -> Strange:
    """Judge what an object is made of: its attributes, or the state of one that is written in C."""
    if _is_estimator(node) and node.type not in (*REVIEWED_ESTIMATORS, *BOOSTER_ESTIMATORS):
        yield f"{where} is {_named(node)}, of which nobody has looked at what it does with any numbers"
    arguments, state = node.part("args"), node.part("state")
    if arguments is not None:
        yield from _data(arguments, f"{where}.__reduce__")
    if state is None or state.kind != "DictNode":
        yield from _state(node, state, where)
        return
    for name, value in state.parts:
        if name.startswith("__") and not (name in OF_BYTES and node.type in CATBOOST_ESTIMATORS):
            yield f"{inside(where, name)} is no attribute of a stored object"
        else:
            yield from _rule_of(name)(value, inside(where, name))


def _state(node: Node, state: Node | None, where: str) -> Strange:
    """Judge the state of a tree of neighbours, which has its metric within, and of other objects without attributes."""
    if state is None:
        return
    if not node.type.startswith(("sklearn.neighbors._ball_tree.", "sklearn.neighbors._kd_tree.")):
        yield from _data(state, where)
        return
    for place, part in state.parts:
        yield from (_place(METRIC_OF_NEIGHBOURS) if part.kind in OBJECTS else _data)(part, f"{where}[{place}]")


def _rule_of(name: str) -> Rule:
    return RULES.get(name, _data)


def _data(node: Node, where: str) -> Strange:
    """Let numbers, texts, arrays, and what holds them be."""
    if node.kind in CONTAINERS:
        for key, part in node.parts:
            yield from _data(part, _at(node, where, key))
    elif node.kind == "DefaultDictNode":
        made_by, main = node.part("default_factory"), node.part("main")
        if made_by is None or made_by.type != "collections.OrderedDict" or made_by.kind != "TypeNode":
            yield f"{where} has a default that is not an empty mapping"
        yield from () if main is None else _data(main, where)
    elif node.kind == "DTypeNode":
        # skops writes it as an array of that type without a value.
        if not all(part.kind == "NdArrayNode" or part == NO_OBJECTS for _, part in node.parts):
            yield f"{where} is no data type of NumPy"
    elif node.kind == "NdArrayNode":
        if not SCALARS.fullmatch(node.type):
            yield f"{where} would be made by {node.type!r} of an array"
    elif node.kind == "SetNode":
        yield f"{where} is a set, whose order is another in each process, and so may be the answers"
    elif node.kind not in ("JsonNode", "SliceNode"):
        yield f"{where} is {_named(node)}, where data is known"


def _place(name: str) -> Rule:
    """Return the rule of a place for objects: those that scikit-learn puts there, `None`, or a word in their stead."""
    columns = name in WITH_COLUMNS

    def rule(node: Node, where: str) -> Strange:
        if node.kind in OBJECTS:
            if name not in _places_of(node):
                yield f"{where} is {_named(node)}, which is not known there"
            yield from _object(node, where)
        elif node.kind == "TupleNode" and node.parts and _is_text(node.parts[0][1]):
            for (key, part), judge in zip(node.parts[1:], [rule, _data if columns else rule], strict=False):
                yield from judge(part, _at(node, where, key))
            if len(node.parts) > (3 if columns else 2):
                yield f"{where} is more than a name and an estimator"
        elif node.kind in CONTAINERS:
            for key, part in node.parts:
                yield from rule(part, _at(node, where, key))
        elif not (node.kind == "JsonNode" and (node.plain is None or node.plain in WORDS)):
            yield f"{where} is {_named(node)}, where an object of scikit-learn is known"

    return rule


def _called(node: Node, where: str) -> Strange:
    """Let functions of one array be, and what takes dates apart."""
    is_known = node.kind == "FunctionNode" and node.type in CALLED
    if not is_known and not _is_none(node) and not _takes_parts(node) and not _is_age(node):
        yield f"{where} would be called and is {_named(node)}; known are functions of one array such as numpy.log1p"


def _takes_parts(node: Node) -> bool:
    """Return whether parts of dates are taken, and nothing else: an attribute may be any property's code."""
    attributes = node.part("attrs") if node.kind == "OperatorFuncNode" else None
    return attributes is not None and all(
        part.kind == "JsonNode" and part.plain in TAKEN_OF_DATES for _, part in attributes.parts
    )


def _is_age(node: Node) -> bool:
    """Return whether dates are subtracted from one."""
    if node.kind != "PartialNode":
        return False
    func, args, kwds, namespace = (node.part(key) for key in ("func", "args", "kwds", "namespace"))
    subtracts = func is not None and func.kind == "FunctionNode" and func.type in SUBTRACT
    from_one = args is not None and args.kind == "TupleNode" and [part for _, part in args.parts] == [MOMENT]
    return subtracts and from_one and all(rest is not None and _is_empty(rest) for rest in (kwds, namespace))


def _format(node: Node, where: str) -> Strange:
    if not _is_text(node):
        yield f"{where} is {_named(node)}, where a format of dates is known"


def _is_empty(node: Node) -> bool:
    return _is_none(node) or (node.kind == "DictNode" and not node.parts)


def _nothing(node: Node, where: str) -> Strange:
    if not _is_empty(node):
        yield f"{where} is {_named(node)}, and only None is known there"


def _words(*words: str, pattern: str = r"(?!)") -> Rule:
    """Return the rule of a place for words: one of some, `None` or a number, or a list of them."""

    def rule(node: Node, where: str) -> Strange:
        if node.kind in ("ListNode", "TupleNode"):
            for key, part in node.parts:
                yield from rule(part, _at(node, where, key))
            return
        known = node.kind == "JsonNode" and (
            not isinstance(node.plain, str) or node.plain in words or re.fullmatch(pattern, node.plain)
        )
        if not known:
            examples = f"; known are {', '.join(map(repr, words))}" if words else ""
            yield f"{where} is {_named(node)}, which is not known there{examples}"

    return rule


def _settings(*keys: str, of: Rule = _data) -> Rule:
    """Return the rule of a mapping that is handed over as named arguments, or is read by its keys."""

    def rule(node: Node, where: str) -> Strange:
        if node.kind != "DictNode":
            yield from _nothing(node, where)
            return
        for key, part in node.parts:
            if key not in keys:
                yield f"{where} has {key!r}; known are {', '.join(map(repr, keys))}"
            yield from of(part, inside(where, key))

    return rule


def _numbers(node: Node, where: str) -> Strange:
    is_number = node.kind == "JsonNode" and not isinstance(node.plain, str)
    if not is_number and node.kind != "NdArrayNode":
        yield f"{where} is {_named(node)}, where numbers are known"
    yield from _data(node, where)


def _data_type(node: Node, where: str) -> Strange:
    if not (node.kind == "TypeNode" and DTYPES.fullmatch(node.type)):
        yield from _data(node, where)


def _model_of(name: str) -> Rule:
    """Return the rule of a place for a booster's trees: bytes or a text in the format that its library writes."""

    def rule(node: Node, where: str) -> Strange:
        if name in OF_TEXT:
            is_model = _is_text(node) and OF_TEXT[name](node.plain.encode())
        else:
            is_model = node.kind in ("BytesNode", "BytearrayNode") and node.value == name
        if not is_model:
            yield f"{where} is {_named(node)}, where a model in its library's own format is known"

    return rule


def _random(node: Node, where: str) -> Strange:
    if node.kind not in ("RandomStateNode", "RandomGeneratorNode"):
        yield from _data(node, where)
        return
    for key, part in node.parts:
        yield from _data(part, inside(where, key))


def _object_or_data(node: Node, where: str) -> Strange:
    yield from (_place("estimator") if node.kind in OBJECTS else _data)(node, where)


RULES: Mapping[str, Rule] = {
    **{name: _place(name) for name in (*ESTIMATORS, *(place for places in HOLDERS.values() for place in places))},
    **dict.fromkeys(RANDOM, _random),
    **dict.fromkeys(("func", "inverse_func"), _called),
    "kw_args": _settings("format", of=_format),
    **dict.fromkeys(("inv_kw_args", "memory", "callback", "_skl_callbacks", "_metadata_request"), _nothing),
    **dict.fromkeys(("stack_method", "stack_method_", "chain_method", "chain_method_"), _words(*METHODS)),
    **dict.fromkeys(("response_method", "_response_method"), _words(*METHODS)),
    **dict.fromkeys(("metric_params", "effective_metric_params_"), _settings("p", "w", "V", "VI", of=_numbers)),
    **{name: _model_of(name) for name in (*OF_BYTES, *OF_TEXT)},
    **dict.fromkeys(("_test_eval", "_test_evals", "callbacks"), _nothing),
    "kernel_params": _settings("gamma", "degree", "coef0", of=_numbers),
    "init": _object_or_data,
    "dtype": _data_type,
    "importance_getter": _words("auto", pattern=r"([A-Za-z]\w*\.)*(coef_|feature_importances_)"),
    "feature_names_out": _words("one-to-one"),
    # Another way of reading is from files, whose names would be the rows.
    "input": _words("content"),
    "encoding": _words(pattern=r"[\w-]+"),
    "decode_error": _words("strict", "ignore", "replace"),
    "_sklearn_output_config": _settings("transform", of=_words("default", "pandas", "polars")),
    "pre_dispatch": _words(pattern=r"all|(\d+\*)?n_jobs"),
}


def _places_of(node: Node) -> tuple[str, ...]:
    """Return the places in which scikit-learn puts objects of a type; the longest prefix of its name decides."""
    prefixes = [prefix for prefix in HOLDERS if node.type.startswith(prefix)]
    return HOLDERS[max(prefixes, key=len)] if prefixes else ESTIMATORS if node.kind == "ObjectNode" else ()


def _is_estimator(node: Node) -> bool:
    return _places_of(node) is ESTIMATORS


def _is_none(node: Node) -> bool:
    return node.kind == "JsonNode" and node.plain is None


def _is_text(node: Node) -> bool:
    return node.kind == "JsonNode" and isinstance(node.plain, str)


def _at(node: Node, where: str, key: str) -> str:
    return inside(where, key) if node.kind == "DictNode" else f"{where}[{key}]"


def _named(node: Node) -> str:
    """Return in words what a node would make."""
    if node.kind == "JsonNode":
        return repr(node.plain)[:60]
    if node.kind == UNREVIEWED:
        return f"a {(node.value or '')[:60]} of skops that makes {node.type[:120]}"
    kinds = {"TypeNode": "the type", "FunctionNode": "the function", **dict.fromkeys(OBJECTS, "an object of")}
    return f"{kinds.get(node.kind, 'a value of the type')} {node.type[:120]}"
