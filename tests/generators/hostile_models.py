"""Ways to make a good stored model run code when somebody loads it, or to hide that it would."""

import gzip
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import onnx
import pandas as pd
import skops.io
import yaml
from mlflow.models import infer_signature
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from tests.generators.hostile_skops import writer

Attack = Callable[[Path, Path], None]
ROWS = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
LABELS = ["no", "yes", "no", "yes"]


class Payload:
    """Something that makes a file where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self._canary}",)


def good_model(folder: Path, regularisation: float = 1.0) -> Path:
    """Write a model as MLflow does, with an example and an extra file, in skops."""
    extra = folder.parent / "profile.json"
    extra.write_text('{"rows": 4}')
    mlflow.sklearn.save_model(
        LogisticRegression(C=regularisation).fit(ROWS, LABELS),
        folder,
        serialization_format="skops",
        signature=infer_signature(ROWS, pd.Series(LABELS)),
        input_example=ROWS,
        pip_requirements=[],
        extra_files=[str(extra)],
    )
    return folder


def change(folder: Path, **changes: dict[str, Any]) -> None:
    """Change settings of flavors in MLmodel; `None` takes a flavor away."""
    path = folder / "MLmodel"
    document = yaml.safe_load(path.read_text())
    for flavor, settings in changes.items():
        if settings is None:
            del document["flavors"][flavor]
        else:
            document["flavors"].setdefault(flavor, {}).update(settings)
    path.write_text(yaml.safe_dump(document))


def write(folder: Path, document: dict[str, Any]) -> None:
    """Write keys at the top of MLmodel."""
    path = folder / "MLmodel"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **document}))


def payload(canary: Path, protocol: int = 0) -> bytes:
    """Return a pickle that makes the canary."""
    return pickle.dumps(Payload(canary), protocol)


def unpickle(folder: Path, name: str) -> None:
    """Have both flavors unpickle a file."""
    change(
        folder, sklearn={"pickled_model": name, "serialization_format": "pickle"}, python_function={"model_path": name}
    )


def aliased(folder: Path, canary: Path) -> None:
    """Spell the file of a pickle otherwise."""
    (folder / "model.bin").write_bytes(payload(canary))
    unpickle(folder, "./model.bin")


def with_slash(folder: Path, canary: Path) -> None:
    """Write two slashes."""
    (folder / "sub").mkdir()
    (folder / "sub" / "model.bin").write_bytes(payload(canary))
    unpickle(folder, "sub//model.bin")


def outside(folder: Path, canary: Path) -> None:
    """Point to a file beside the folder."""
    (folder.parent / "model.bin").write_bytes(payload(canary))
    unpickle(folder, "../model.bin")


def outside_and_skops(folder: Path, canary: Path) -> None:
    """Point to a good file that is not in the manifest, and may be exchanged at any time."""
    (folder / "model.skops").rename(folder.parent / "model.skops")
    change(folder, sklearn={"pickled_model": "../model.skops"}, python_function={"model_path": "../model.skops"})


def absolute(folder: Path, canary: Path) -> None:
    """Name a file by its whole path."""
    (folder.parent / "model.bin").write_bytes(payload(canary))
    unpickle(folder, str(folder.parent / "model.bin"))


def linked(folder: Path, canary: Path) -> None:
    """Make the model's file a link."""
    (folder / "model.skops").rename(folder.parent / "model.skops")
    (folder / "model.skops").symlink_to(folder.parent / "model.skops")


def linked_folder(folder: Path, canary: Path) -> None:
    """Have a link to a folder."""
    (folder / "metadata").symlink_to(folder.parent)


def other_case(folder: Path, canary: Path) -> None:
    """Have two files that are one where case does not count."""
    (folder / "Model.skops").write_bytes((folder / "model.skops").read_bytes())


def path_of_skops_only(folder: Path, canary: Path) -> None:
    """Have scikit-learn's loader find no MLmodel beside the file, and take it for a pickle."""
    (folder / "sub").mkdir()
    (folder / "sub" / "model.skops").write_bytes(payload(canary))
    change(folder, python_function={"model_path": None, "data": "sub/model.skops"})


def another_mlmodel(folder: Path, canary: Path) -> None:
    """Have scikit-learn's loader read another MLmodel, in a nested model."""
    (folder / "sub").mkdir()
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document["flavors"]["sklearn"]["serialization_format"] = "pickle"
    document["flavors"]["python_function"]["model_path"] = "model.bin"
    (folder / "sub" / "MLmodel").write_text(yaml.safe_dump(document))
    (folder / "sub" / "model.bin").write_bytes(payload(canary))
    change(folder, python_function={"data": "sub"})


def disagreeing(folder: Path, canary: Path) -> None:
    """Have the two flavors open different files: what is measured is not what is served."""
    (folder / "other.skops").write_bytes((folder / "model.skops").read_bytes())
    change(folder, python_function={"model_path": "other.skops"})


def sklearn_code(folder: Path, canary: Path) -> None:
    """Put a folder where Python imports from, by the flavor that pyfunc does not read."""
    (folder / "mycode").mkdir()
    (folder / "mycode" / "sitecustomize.py").write_text(f"open({str(canary)!r}, 'w')")
    change(folder, sklearn={"code": "mycode"})


def own_loader(folder: Path, canary: Path) -> None:
    """Load by a module of one's own."""
    (folder / "mine.py").write_text(f"open({str(canary)!r}, 'w')")
    change(folder, python_function={"loader_module": "mine", "code": "."})


def foreign_loader(folder: Path, canary: Path) -> None:
    """Load by a module that is installed."""
    change(folder, python_function={"loader_module": "mlflow.statsmodels"})


def disguised_python_model(folder: Path, canary: Path) -> None:
    """Name a python_model beside a loader that nobody knows."""
    change(folder, python_function={"loader_module": "some.module", "python_model": "model.skops"})


def flavor_without_itself(folder: Path, canary: Path) -> None:
    """Have scikit-learn's loader find no settings of its own, and assume a pickle."""
    (folder / "model.skops").write_bytes(payload(canary))
    change(folder, sklearn=None)


def loader_of_another_flavor(folder: Path, canary: Path) -> None:
    """Measure by one loader and serve by another."""
    (folder / "model.json").write_text('{"learner": {}}')
    change(folder, python_function={"loader_module": "mlflow.xgboost", "data": "model.json"})


def second_flavor(name: str) -> Attack:
    """Put a flavor beside the good one that runs code when it is loaded."""

    def attack(folder: Path, canary: Path) -> None:
        change(folder, **{name: {"version": "1.0", "model": "model.skops"}})

    attack.__name__ = f"second_flavor_{name}"
    return attack


def cloudpickle_called_skops(folder: Path, canary: Path) -> None:
    """Unpickle a file that has skops' name."""
    (folder / "model.skops").write_bytes(payload(canary, 2))
    change(folder, sklearn={"serialization_format": "cloudpickle"})


def text_pickle_called_skops(folder: Path, canary: Path) -> None:
    """Exchange the content alone."""
    (folder / "model.skops").write_bytes(payload(canary))


def zip_with_a_pickle(folder: Path, canary: Path) -> None:
    """Make a zip with a pickle and no schema of skops."""
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        archive.writestr("archive/data.pkl", payload(canary, 4))


def skops_with_more(folder: Path, canary: Path) -> None:
    """Hide a pickle among what skops wrote."""
    with zipfile.ZipFile(folder / "model.skops", "a") as archive:
        archive.writestr("hidden.dat", payload(canary))


def something_before_the_zip(folder: Path, canary: Path) -> None:
    """Write another file before what skops wrote, which is found from its end."""
    good = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(gzip.compress(payload(canary)) + good)


def named_as_encoded(folder: Path, canary: Path) -> None:
    """Name the file so that MLflow says to clients of S3 that it is packed: they unpack it, others do not."""
    (folder / "model.skops").rename(folder / "model.skops.gz")
    change(folder, python_function={"model_path": "model.skops.gz"}, sklearn={"pickled_model": "model.skops.gz"})


def onnx_called_ort(folder: Path, canary: Path) -> None:
    """Name an ONNX model so that onnxruntime reads it in a format of its own."""
    onnx_model(folder)
    (folder / "model.onnx").rename(folder / "model.ort")
    change(folder, onnx={"data": "model.ort"}, python_function={"data": "model.ort"})


def reviewed_name_elsewhere(folder: Path, canary: Path) -> None:
    """Use the name of a reviewed type from another module, and have MLmodel vouch for it."""
    (folder / "model.skops").write_bytes(_with_type(folder / "model.skops", "evil.tree._tree", "Tree"))
    change(folder, sklearn={"skops_trusted_types": ["evil.tree._tree.Tree"]})


def trusted_by_mlmodel(folder: Path, canary: Path) -> None:
    """Have MLmodel tell skops to trust what runs a command."""
    (folder / "model.skops").write_bytes(_with_type(folder / "model.skops", "os", "system"))
    change(folder, sklearn={"skops_trusted_types": ["os.system"]})


def skops_that_writes(folder: Path, canary: Path) -> None:
    """Store types that skops knows, which make the canary when they are asked."""
    skops.io.dump(writer(canary, b"written"), folder / "model.skops")


def _with_type(path: Path, module: str, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema.update({"__module__": module, "__class__": name})
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return path.read_bytes()


def undeclared(name: str, content: Callable[[Path], bytes]) -> Attack:
    """Leave a file beside the model that no flavor names."""

    def attack(folder: Path, canary: Path) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content(canary))

    attack.__name__ = f"undeclared_{name}"
    return attack


def companion_is_a_pickle(folder: Path, canary: Path) -> None:
    """Give a pickle the name of what MLflow writes."""
    (folder / "requirements.txt").write_bytes(payload(canary))


def example_is_no_json(folder: Path, canary: Path) -> None:
    """Store the example as an array of objects."""
    np.save(folder / "input_example.npy", np.array([Payload(canary)], dtype=object), allow_pickle=True)
    write(folder, {"saved_input_example_info": {"artifact_path": "input_example.npy", "type": "ndarray"}})


def extra_file_is_a_pickle(folder: Path, canary: Path) -> None:
    """Declare a pickle as an extra file."""
    (folder / "extra_files" / "profile.json").write_bytes(payload(canary))


def extra_file_outside(folder: Path, canary: Path) -> None:
    """Declare an undeclared file of the folder as an extra one."""
    (folder / "weights.dat").write_text("1")
    change(folder, sklearn={"extra_files": [{"path": "weights.dat"}]})


def configured(folder: Path, canary: Path) -> None:
    """Hand the loader a configuration."""
    change(folder, python_function={"config": {"model": "x"}})


def another_method(folder: Path, canary: Path) -> None:
    """Predict with whatever the object has."""
    change(folder, python_function={"predict_fn": "get_raw_model"})


def unknown_setting(folder: Path, canary: Path) -> None:
    """Give a flavor a setting that nobody knows."""
    change(folder, sklearn={"hook": "os.system"})


def unknown_key(folder: Path, canary: Path) -> None:
    """Give MLmodel a key that nobody knows."""
    write(folder, {"loader": "mine"})


def key_twice(folder: Path, canary: Path) -> None:
    """Have readers that take the first of two keys see another model."""
    path = folder / "MLmodel"
    path.write_text(path.read_text() + "flavors:\n  python_function:\n    loader_module: mine\n")


def utf_16(folder: Path, canary: Path) -> None:
    """Write MLmodel in another encoding."""
    path = folder / "MLmodel"
    path.write_bytes(path.read_text().encode("utf-16"))


def byte_order_mark(folder: Path, canary: Path) -> None:
    """Begin MLmodel with a byte order mark."""
    path = folder / "MLmodel"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def yaml_that_makes_objects(folder: Path, canary: Path) -> None:
    """Have YAML call something."""
    path = folder / "MLmodel"
    path.write_text(path.read_text() + f"resources: !!python/object/apply:os.system ['touch {canary}']\n")


def onnx_with(domain: str, operator: str, *, provider: Any = "CPUExecutionProvider", data: str | None = None) -> Attack:
    """Make the model ONNX, with an operator of a domain, and maybe tensors in another file."""

    def attack(folder: Path, canary: Path) -> None:
        onnx_model(folder, domain=domain, operator=operator, provider=provider, data=data)

    attack.__name__ = f"onnx_{domain}_{operator}_{data}_{type(provider).__name__}"
    return attack


def onnx_model(
    folder: Path,
    *,
    domain: str = "",
    operator: str = "Add",
    provider: Any = "CPUExecutionProvider",
    data: str | None = None,
) -> None:
    """Write an ONNX model in place of the one in a folder."""
    (folder / "model.skops").unlink()
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], np.array([1.0], np.float32).tobytes(), raw=True)
    if data:
        onnx.external_data_helper.set_external_data(weights, data)
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    node = helper.make_node(operator, ["x", "w"], ["y"], domain=domain)
    graph = helper.make_graph([node], "g", [x], [y], initializer=[weights])
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid(domain, 1)] if domain else [])]
    (folder / "model.onnx").write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    replace(folder, "onnx", {"onnx_version": "1.23", "data": "model.onnx", "providers": [provider]}, data="model.onnx")


def replace(folder: Path, native: str, settings: dict[str, Any], **pyfunc: Any) -> None:
    """Give a stored model another flavor in place of scikit-learn's."""
    path = folder / "MLmodel"
    document = yaml.safe_load(path.read_text())
    extra = document["flavors"].pop("sklearn").get("extra_files")
    document["flavors"][native] = {"code": None, "extra_files": extra, **settings}
    document["flavors"]["python_function"].pop("model_path")
    document["flavors"]["python_function"].pop("predict_fn")
    document["flavors"]["python_function"].update({"loader_module": f"mlflow.{native}", **pyfunc})
    path.write_text(yaml.safe_dump(document))


def own_format(native: str, name: str, content: bytes, **settings: Any) -> Attack:
    """Make the model one of a loader with a format of its own."""

    def attack(folder: Path, canary: Path) -> None:
        (folder / "model.skops").unlink()
        (folder / name).write_bytes(content)
        replace(folder, native, {"data": name, **settings}, data=name)

    attack.__name__ = f"{native}_{name}_{settings}"
    return attack


def _torch(content: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return file.getvalue()


HARMLESS: tuple[Attack, ...] = (
    own_format("xgboost", "model.json", b'{"learner": {}, "version": [3, 0, 0]}', model_class="xgboost.core.Booster"),
    own_format("xgboost", "model.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{}", model_format="ubj"),
    own_format("lightgbm", "model.lgb", b"tree\nversion=v4\n", model_class="lightgbm.basic.Booster"),
    own_format("catboost", "model.cb", b"CBM1\x00\x00", model_type="CatBoostClassifier", save_format="cbm"),
    onnx_with("", "Add"),
)
ATTACKS: dict[str, tuple[Attack, ...]] = {
    "pickle": (
        aliased,
        with_slash,
        outside,
        absolute,
        undeclared("hidden.bin", lambda canary: payload(canary, 4)),
        undeclared("extra_files/more.joblib", lambda canary: payload(canary, 3)),
    ),
    "cloudpickle": (
        cloudpickle_called_skops,
        own_format("lightgbm", "model.lgb", b"tree\nversion=v4\n", model_class="lightgbm.sklearn.LGBMClassifier"),
    ),
    "torch": (zip_with_a_pickle, undeclared("weights.bin", lambda canary: _torch(payload(canary, 2)))),
    "code": (sklearn_code, own_loader),
    "unreviewed": (reviewed_name_elsewhere, trusted_by_mlmodel, skops_that_writes),
    "unknown": (
        path_of_skops_only,
        another_mlmodel,
        foreign_loader,
        disguised_python_model,
        flavor_without_itself,
        loader_of_another_flavor,
        *map(second_flavor, ("crate", "spark", "pytorch", "diviner", "keras")),
        configured,
        another_method,
        unknown_setting,
        unknown_key,
        key_twice,
        utf_16,
        byte_order_mark,
        yaml_that_makes_objects,
        own_format("xgboost", "model.json", b'{"learner": {}}', model_class="subprocess.Popen"),
        own_format("catboost", "model.cb", b"CBM1", model_type="Evil", save_format="cbm"),
        onnx_with("", "Add", provider=["QNNExecutionProvider", {"backend_path": "evil.so"}]),
    ),
    "unproven": (
        outside_and_skops,
        linked,
        linked_folder,
        other_case,
        disagreeing,
        text_pickle_called_skops,
        skops_with_more,
        something_before_the_zip,
        named_as_encoded,
        onnx_called_ort,
        companion_is_a_pickle,
        example_is_no_json,
        extra_file_is_a_pickle,
        extra_file_outside,
        undeclared("notes.txt", payload),
        undeclared("notes.md", lambda canary: b"nothing to see"),
        undeclared("custom_ops.so", lambda canary: b"\x7fELF"),
        undeclared("__pycache__/x.pyc", lambda canary: b"\xa7\r\r\n"),
        undeclared("nested/MLmodel", lambda canary: b"flavors: {}"),
        own_format("xgboost", "model.ubj", b"binf\x00\x00"),
        own_format("lightgbm", "model.lgb", b"import os"),
        own_format("catboost", "model.cb", b"import os", model_type="CatBoost", save_format="cbm"),
        onnx_with("evil.domain", "Add"),
        onnx_with("com.microsoft", "PyOp"),
        onnx_with("", "Add", data="../weights.bin"),
        own_format("onnx", "model.onnx", b"\x08\x07"),
    ),
}
