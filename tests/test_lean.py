"""Processes of kzoo import Keras without its optional packages; processes of users import it with them.

The class of faults: a package that Keras could do without is imported with it, and costs every command seconds; or it
is hidden for longer than that, or from users who need it in Keras.
"""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("jax", "matplotlib", "pandas", "scipy", "sklearn")
ENV = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": "tensorflow"}
COMMANDS = """
import json, sys
from importlib import import_module
from kzoo.cli import main

codes, heavy, of_kzoo = [], json.loads(sys.argv[1]), json.loads(sys.argv[2])
for words in json.loads(sys.argv[3]):
    sys.argv = ["kzoo", *words]
    codes.append(main() if of_kzoo else main(words))
    if len(codes) == 1:
        imported = [name for name in heavy if name in sys.modules]
for name in heavy:
    import_module(name)
from keras.src.trainers.data_adapters import array_slicing
print(json.dumps([codes, imported, array_slicing.pandas is not None]))
"""


def after(*commands, of_kzoo, cwd=None, backend="tensorflow"):
    """Return exit codes of commands in one process, the imports of the first, and whether Keras has pandas then.

    Args:
        of_kzoo: call `main()`, as in a process of kzoo; False for `main(words)`, as in a process of a user.
    """
    heavy = (*HEAVY, "tensorflow") if backend != "tensorflow" else HEAVY
    words = [
        json.dumps(argument)
        for argument in (heavy, of_kzoo, [command.split() for command in commands])
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, *words],
        cwd=cwd,
        env=ENV | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SHOW = "show iris_fnn --set units=3,"


def test_a_command_imports_keras_alone_and_all_of_them_work_after_it(tmp_path):
    rows = [f"{i % 7},{(i * i) % 11},{'no' if i % 7 < 3 else 'yes'}" for i in range(120)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,plan", *rows]))
    codes, imported, _ = after(
        SHOW,
        "train tabular_fnn --data rows.csv --target plan --epochs 1 --out run --quiet",
        "evaluate run --data rows.csv",
        "predict run rows.csv",
        "report run",
        of_kzoo=True,
        cwd=tmp_path,
    )
    assert (codes, imported) == ([0] * 5, [])
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize(
    ("backend", "command"),
    [
        ("jax", SHOW),
        *(
            pytest.param(b, "train iris_fnn --epochs 1", marks=pytest.mark.slow)
            for b in ("jax", "torch")
        ),
    ],
)
def test_commands_on_other_backends_do_not_import_tensorflow(tmp_path, backend, command):
    pytest.importorskip(backend)
    codes, imported, _ = after(command, of_kzoo=True, cwd=tmp_path, backend=backend)
    assert codes == [0] and "tensorflow" not in imported
    if command != SHOW:
        assert any((tmp_path / "runs").rglob("events.out*"))  # TensorBoard's


@pytest.mark.slow
def test_in_a_process_of_a_user_keras_imports_all_optional_packages():
    codes, imported, has_pandas = after(SHOW, of_kzoo=False)
    assert codes == [0] and has_pandas and {"pandas", "sklearn", "matplotlib"} <= set(imported)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_command_starts_on_every_backend(backend, tmp_path):
    pytest.importorskip(backend)
    train = [
        sys.executable,
        "-m",
        "kzoo",
        "train",
        "iris_fnn",
        "--epochs",
        "1",
        "--quiet",
        "--json",
    ]
    home = tmp_path / "keras"
    home.mkdir()
    # Keras reads it if the variable is not set
    (home / "keras.json").write_text(json.dumps({"backend": backend}))
    env = {name: value for name, value in ENV.items() if name != "KERAS_BACKEND"} | {
        "KERAS_HOME": str(home)
    }
    done = subprocess.run(train, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
