"""`py.typed` is true: every public name has a full signature, and mypy checks programs that use them."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from runpy import run_path

import kzoo
import kzoo.runtime


def for_a_type_checker(module):
    """Return name -> module of all imports of a package below `if TYPE_CHECKING:`."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    blocks = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        alias.asname: node.module for block in blocks for node in block.body for alias in node.names
    }


def test_a_type_checker_sees_the_public_names():
    seen = for_a_type_checker(kzoo)
    assert sorted(seen) == sorted(kzoo._PUBLIC)
    for name, module in seen.items():
        source = import_module(
            {"kzoo": f"kzoo.{name}", "kzoo.signatures": kzoo._PUBLIC[name]}.get(module, module)
        )
        assert getattr(kzoo, name) in (source, getattr(source, name, None))  # kzoo.export is both


def test_a_type_checker_sees_the_options_of_data():
    script = run_path(str(Path(kzoo.__file__).parents[1] / ".ci" / "signatures.py"))
    written, expected = (
        [ast.dump(node) for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        for text in (script["STUB"].read_text(encoding="utf-8"), script["stub"]())
    )
    assert written == expected and len(written) > 5  # else run .ci/signatures.py


def test_a_type_checker_sees_the_pictures():
    assert for_a_type_checker(kzoo.plots) == kzoo.plots._LAZY


def public_callables():
    """Yield (name, function) of everything in the public API that can be called, methods of classes included."""
    doors = {name: getattr(kzoo, name) for name in kzoo._PUBLIC}
    for module in (
        kzoo.baselines,
        kzoo.callbacks,
        kzoo.plots,
        kzoo.recipes,
        kzoo.runtime,
        kzoo.sklearn,
    ):
        doors |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    doors |= {"Split": import_module("kzoo.data").Split, "Space": type(kzoo.space("iris_fnn"))}
    doors["export"] = import_module("kzoo.export").export
    for name, value in doors.items():
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for called, member in vars(value).items():
                member = (
                    getattr(member, "__func__", None) or getattr(member, "fget", None) or member
                )
                member = getattr(member, "func", member)  # cached_property
                if inspect.isfunction(member) and (
                    not called.startswith("_") or called == "__init__"
                ):
                    yield f"{name}.{called}", member


def missing_annotations(function):
    signature = inspect.signature(function)
    names = [
        name
        for name, p in signature.parameters.items()
        if p.annotation is p.empty and name not in ("self", "cls")
    ]
    return names + (["return"] if signature.return_annotation is signature.empty else [])


def test_every_public_function_and_method_has_a_full_signature():
    functions = dict(public_callables())
    assert len(functions) > 120
    assert {
        name: missing
        for name, function in functions.items()
        if (missing := missing_annotations(function))
    } == {}


RIGHT = """
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import kzoo
import kzoo.runtime

assert_type(kzoo.list_presets("cifar_*", max_params=1e6), list[str])
preset = kzoo.get_preset("digits_cnn")
assert_type(preset, kzoo.Preset)
run = kzoo.train(preset, "digits", epochs=2, callbacks="quick", weights=Path("runs/before"), freeze=True, dropout=0.1)
assert_type(run, kzoo.Run)
assert_type(run.history, dict[str, list[float | None]])
data = kzoo.load_data((np.zeros((20, 4)), np.zeros(20)), validation=0.2, drop=["id"])
assert_type(data, kzoo.Dataset)
assert_type(kzoo.evaluate(run, data, split="validation"), dict[str, Any])
answers = kzoo.predict("runs/one", ["photo.png"])
assert_type(answers.probabilities, np.ndarray | None)
assert_type(kzoo.compare([run, "runs/*"]), pd.DataFrame)
assert_type(kzoo.ensemble([run, run], method="vote"), kzoo.Run)
assert_type(kzoo.check(run)[0].level, str)
search = kzoo.tune("digits_cnn", trials=3, space=kzoo.space("digits_cnn").only("learning_rate").limit(params=1e5))
assert_type(search, kzoo.Search)
assert_type(search.best_trial().score, float | None)
assert_type(search.retrain(on="train", epochs=3, progress=False), kzoo.Run)
assert_type(kzoo.tune("digits_cnn", dry_run=True).trials, int)
assert_type(search.plot("curves"), Figure)
exported = kzoo.export(run, "exports/digits", ["onnx", "litert"], quantize="int8")
assert_type(exported, kzoo.ExportedModel)
assert_type(kzoo.runtime.load(exported).predict(np.zeros((1, 8, 8, 1))).labels, list[Any])
assert_type(kzoo.plots.curves(run.history, monitor="val_loss"), Figure)
assert_type(kzoo.plots.confusion_matrix([0, 1], [1, 1], ("no", "yes")), Figure)
assert_type(kzoo.report(run, out=Path("report.html")), Path)
with kzoo.callbacks.restored(kzoo.callbacks.standard("runs/mine", patience=3)) as bundle:
    len(bundle)
args = kzoo.recipes.arguments("mine", __doc__, data="digits", count=3)
kzoo.recipes.finish(args, [kzoo.recipes.run_row(run, run.summary["test"], "accuracy")], folder=run.path)
try:
    kzoo.load_model("stranger.keras")
except kzoo.UnsafeModelError as error:
    print(error)
"""

# A wrong line -> the code of mypy's error, and a word in it.
WRONG = {
    "kzoo.trian('digits_cnn')": ("attr-defined", "trian"),
    "run.sumary": ("attr-defined", "sumary"),
    "kzoo.plots.curve(run.history)": ("attr-defined", "curve"),
    "kzoo.evaluate(run, splt='test')": ("call-arg", "splt"),
    "kzoo.evaluate(run, split='tset')": ("arg-type", "split"),
    "kzoo.train('digits_cnn', 'digits', epochs='many')": ("arg-type", "epochs"),
    "kzoo.train('digits_cnn', 'digits', resume='maybe')": ("arg-type", "resume"),
    "kzoo.train('tabular_fnn', 'dates.csv', target='y', date_order='us')": (
        "arg-type",
        "date_order",
    ),
    "kzoo.load_data('dates.csv', traget='y')": ("call-arg", "traget"),
    "kzoo.tune('tabular_fnn', 'sales.csv', split=0.2)": ("call-overload", "tune"),
    "kzoo.predict(run, 'photo.png', batch_size='128')": ("arg-type", "batch_size"),
    "kzoo.generate(7, 'To be')": ("arg-type", "generate"),
    "kzoo.export(run, 'exports/digits', formats=5)": ("arg-type", "formats"),
    "kzoo.runtime.load('exports/digits').predict(inputs=0, size=3)": ("call-arg", "size"),
    "kzoo.tune('digits_cnn', dry_run=True).best_trial()": ("union-attr", "best_trial"),
    "kzoo.space('digits_cnn').limit(parameters=3)": ("call-arg", "parameters"),
    "kzoo.callbacks.standard(mode='largest')": ("arg-type", "mode"),
    "kzoo.recipes.finish('mine')": ("arg-type", "finish"),
    "kzoo.build('digits_cnn', seed='0')": ("arg-type", "seed"),
}


def test_mypy_accepts_a_right_program_and_names_the_mistakes_of_a_wrong_program(tmp_path):
    (tmp_path / "right.py").write_text(RIGHT)
    head = ["import kzoo", "import kzoo.runtime", "run = kzoo.Run('runs/one')"]
    (tmp_path / "wrong.py").write_text("\n".join([*head, *WRONG]))
    # In the checkout, where `python -m mypy` has its cache.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", tmp_path / "right.py", tmp_path / "wrong.py"],
        capture_output=True,
        text=True,
        cwd=Path(kzoo.__file__).parents[1],
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    # a cached line has the folder of an earlier run
    texts = [line.partition("wrong.py:")[2] for line in errors]
    assert [line for line, text in zip(errors, texts, strict=True) if not text] == [], done.stderr
    for number, (line, (code, word)) in enumerate(WRONG.items(), len(head) + 1):
        here = [text for text in texts if text.startswith(f"{number}: ")]
        assert any(text.endswith(f"[{code}]") and word in text for text in here), (
            line,
            here,
            done.stderr,
        )
    assert {int(text.split(":")[0]) for text in texts} == set(
        range(len(head) + 1, len(head) + 1 + len(WRONG))
    )
