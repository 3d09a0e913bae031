"""Presets of installed packages: each test makes real packages in a folder, and uses them in another process."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from messages import assert_mentions

import kzoo

MODELS = """
import sys
from kzoo import Preset, get_preset
print("acme is imported", file=sys.stderr)
base = get_preset("iris_fnn")
TINY = Preset(name="tiny_fnn", family="fnn", task=base.task, summary="Tiny.", dataset="iris",
              config=base.config | dict(units=(3,)), training=base.training)
DIGITS = Preset(name="digits_cnn", **{f: getattr(get_preset("digits_cnn"), f) for f in
                ("family", "task", "summary", "config", "training", "dataset")})
PRESETS = [TINY, DIGITS]
def presets():
    return iter(PRESETS)
"""


def install(module, text, entry_points, version="1.0"):
    """Put a package into the working folder as pip would: a module with its dist-info."""
    Path(f"{module}.py").write_text(text)
    info = Path(f"{module}-{version}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: {version}\n"
    )
    (info / "entry_points.txt").write_text("[kzoo.presets]\n" + entry_points)


def child(code):
    """Run code in a new process. Return its output and the lines of its standard error."""
    path = os.pathsep.join([os.getcwd(), str(Path(kzoo.__file__).parent.parent)])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize("attribute", ["PRESETS", "presets", "TINY"])
def test_names_of_a_packages_presets_begin_with_its_namespace(attribute):
    install("acme_models", MODELS, f"acme = acme_models:{attribute}\n")
    out, err = child(
        "import kzoo; print(*kzoo.list_presets('acme.*')); print(kzoo.get_preset('digits_cnn').params)"
    )
    names = ["acme.tiny_fnn"] if attribute == "TINY" else ["acme.digits_cnn", "acme.tiny_fnn"]
    assert out.split() == [*names, "100458"]
    assert err == ["acme is imported"]


def test_a_package_is_imported_only_for_its_presets_and_for_lists():
    install("acme_models", MODELS, "acme = acme_models:PRESETS\n")
    assert child("import kzoo; kzoo.get_preset('iris_fnn')") == ("", [])
    out, err = child("import kzoo; print(kzoo.get_preset('acme.tiny_fnn').config['units'])")
    assert (out, err) == ("(3,)\n", ["acme is imported"])


@pytest.mark.usefixtures("warm_children")
def test_a_preset_of_a_package_builds_and_trains_under_its_full_name():
    install("acme_models", MODELS, "acme = acme_models:PRESETS\n")
    out, _ = child(
        "import gc; gc.disable(); import os; os.environ |= dict(TF_CPP_MIN_LOG_LEVEL='3', CUDA_VISIBLE_DEVICES='-1')\n"
        "import warnings; warnings.resetwarnings(); warnings.simplefilter('ignore')\n"
        "import kzoo; print(kzoo.build('acme.tiny_fnn', compile=False).name)\n"
        "run = kzoo.train('acme.tiny_fnn', epochs=1, progress=False)\n"
        "print(run.path, run.model.name, run.config['command'].replace(' ', '_'))\n"
    )
    built, path, *rest = out.split()
    assert built == "acme.tiny_fnn"
    assert [Path(path).name, *rest] == [
        "acme.tiny_fnn-01",
        "acme.tiny_fnn",
        "kzoo_train_acme.tiny_fnn_--set_epochs=1",
    ]


# The program that asks for a preset and prints the error.
REFUSED = "import kzoo\ntry: kzoo.get_preset({!r})\nexcept kzoo.KzooError as error: print(error)"
BROKEN = [
    ("import no_such_module", ("ModuleNotFoundError: No module named 'no_such_module'",)),
    ("PRESETS = 3", ("TypeError: 'int' object is not iterable",)),
    ("PRESETS = ['iris_fnn']", ("KzooError", "'iris_fnn'", "kzoo.Preset")),
    ("def PRESETS():\n    raise RuntimeError('two\\nlines')", ("RuntimeError: two lines",)),
    ("", ("AttributeError: module 'bad_models' has no attribute 'PRESETS'",)),
]


@pytest.mark.parametrize(("text", "parts"), BROKEN)
def test_a_broken_package_is_reported_in_a_line_and_other_presets_still_work(text, parts):
    install("acme_models", MODELS, "acme = acme_models:TINY\n")
    install("bad_models", text, "bad = bad_models:PRESETS\n")
    code = "import kzoo; n = kzoo.list_presets(); kzoo.list_presets(); print('acme.tiny_fnn' in n, 'iris_fnn' in n)"
    out, err = child(code)
    assert out.split() == ["True", "True"]
    (report,) = (line for line in err if "bad" in line)
    assert_mentions(report, "kzoo", "bad-models 1.0", *parts)
    (message,) = child(REFUSED.format("bad.x"))[0].splitlines()
    assert_mentions(message, "bad-models 1.0", *parts)


def test_two_packages_with_the_same_namespace_are_both_left_out():
    install("acme_models", MODELS, "acme = acme_models:TINY\n")
    install("evil_models", MODELS, "acme = evil_models:TINY\n")
    out, err = child(
        "import kzoo; print(len(kzoo.list_presets('acme.*')), 'iris_fnn' in kzoo.list_presets())"
    )
    assert out.split() == ["0", "True"]
    (line,) = err
    assert_mentions(line, "acme-models 1.0", "evil-models 1.0", "'acme'", "uninstall")


def test_for_an_unknown_preset_of_a_package_a_similar_name_is_suggested():
    install("acme_models", MODELS, "acme = acme_models:PRESETS\n")
    assert_mentions(child(REFUSED.format("acme.tiny_fn"))[0], "'acme.tiny_fn'", "'acme.tiny_fnn'")


def test_a_list_without_presets_of_packages_does_not_import_importlib_metadata():
    """Its import takes longer than the whole catalogue."""
    code = "import sys, kzoo; kzoo.list_presets(); print('importlib.metadata' in sys.modules)"
    assert child(code)[0] == "False\n"


def test_packages_in_an_archive_or_behind_a_finder_are_read_too():
    install("acme_models", MODELS, "acme = acme_models:TINY\n")
    with zipfile.ZipFile("acme.zip", "w") as archive:
        for path in (Path("acme_models.py"), *Path("acme_models-1.0.dist-info").iterdir()):
            archive.write(path)
    shutil.rmtree("acme_models-1.0.dist-info")
    archived = "import sys; sys.path.append('acme.zip')\nimport kzoo; print('acme.tiny_fnn' in kzoo.list_presets())"
    assert child(archived)[0] == "True\n"
    finder = (
        "import sys\nfrom importlib.metadata import MetadataPathFinder, DistributionFinder\n"
        "class Finder:\n"
        "    find_spec = staticmethod(lambda *a, **k: None)\n"
        "    def find_distributions(self, context=DistributionFinder.Context()):\n"
        "        return MetadataPathFinder.find_distributions(DistributionFinder.Context(path=['acme.zip']))\n"
        "sys.meta_path.append(Finder())\n"
        "from kzoo.zoo.registry import plugins; print(plugins.namespaces())"
    )
    assert child(finder)[0] == "['acme']\n"
