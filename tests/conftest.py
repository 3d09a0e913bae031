"""Quiet backends, no windows, and a new folder for each test."""

import gc
import os
import shlex
import sys
from contextlib import ExitStack
from functools import cache

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# the cores are busy with other tests: waiting threads only heat them
if "PYTEST_XDIST_WORKER" in os.environ:
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
# with it each process compiles kzoo and the tests once more
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False

import pytest

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
# the path of a Python that has imported Keras already, if xdist's processes are forked from it
WARM = None
# their children begin as others' do
if "KZOO_TESTS_PYTHON" in os.environ and "PYTEST_XDIST_WORKER" in os.environ:
    WARM = sys.executable
    sys.executable = os.environ.pop("KZOO_TESTS_PYTHON")

# Beginning of test names -> the trained models that these tests share. They run in the same process; all other tests
# go file by file. If tests were spread freely, every process would train every module's and folder's runs anew.
SMOKE = "tests/recipes/test_smoke.py::test_a_recipe_runs_with_smoke["
TOGETHER = {
    "tests/export/": "bundles of all formats",
    "tests/report/": "runs of all kinds",
    "tests/runtime/": "small bundles",
    "tests/evaluation/test_evaluate.py": "small runs",
    "tests/evaluation/test_predict.py": "small runs",
    f"{SMOKE}foundations/": "tests/recipes/test_foundations.py",
    f"{SMOKE}frameworks/": "tests/recipes/test_frameworks.py",
    f"{SMOKE}practice/learning_curve": "tests/recipes/test_practice.py",
    f"{SMOKE}practice/scikit_learn": "tests/recipes/test_scikit_learn.py",
    f"{SMOKE}tabular_fnn": "tests/recipes/test_task_recipes.py",
}


def process_of(nodeid):
    """Return a name for the group of tests that run in the same process as this test."""
    shared = (group for beginning, group in TOGETHER.items() if nodeid.startswith(beginning))
    return next(shared, nodeid if nodeid.startswith(SMOKE) else nodeid.split("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process of `-n` whole groups of tests, those with the most tests first."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return process_of(nodeid)

    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Let `-n auto` start a process more than there are cores: now and then each waits, for a child or for the disk."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return cores + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """Let the processes of `-n` begin with Keras imported, once for all of them and for the children of their tests."""
    import warm

    if BACKEND != "tensorflow":
        return
    os.environ["KZOO_TESTS_PYTHON"] = sys.executable
    ends = ExitStack()
    python = ends.enter_context(warm.warm_python())
    config.add_cleanup(ends.close)
    for spec in specs:
        spec.python = spec.python or shlex.quote(python)


# Tracing a network makes a million objects that stay: with the default of 700, half of the time is for collections.
gc.set_threshold(200_000, 20, 100)


def pytest_collection_finish():
    """Exclude imported objects from garbage collections, which otherwise take half a second after each run."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _without_graphs_of_earlier_files():
    """Free the graphs of a file of tests: garbage collections of later files would look through them, in twice the
    time."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session(free_memory=False)
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _without_curves():
    """Let trainings write an empty file for their curves: drawing them takes a fifth of a small run's time.

    `shortcuts.drawn` lets them draw.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "kzoo.training.train" in sys.modules:
            from shortcuts import Blank

            # its name in the package is the function's
            training = sys.modules["kzoo.training.train"]
            patch.setattr(training, "curves", lambda *arguments, **options: Blank())
        yield


@pytest.fixture(autouse=True, scope="module")
def _no_preset_of_a_test_stays():
    """Fail a file that leaves its presets in the registry, where later files would list them."""
    before = _presets_of_tests()
    yield
    assert _presets_of_tests() == before


def _presets_of_tests():
    catalogue = sys.modules.get("kzoo.zoo.registry.catalogue")
    owners = catalogue._owners if catalogue else {}
    return {
        name
        for name, owner in owners.items()
        if owner.startswith("test") or owner.endswith(".toml")
    }


@pytest.fixture(autouse=True, scope="module")
def _no_test_alters_the_library():
    """Fail a file that writes into a run which others share; `library.copied` makes a copy to write into."""
    yield
    if "library" in sys.modules:
        altered = sys.modules["library"].changed()
        assert not altered, f"altered in the library: {', '.join(altered)}"


@pytest.fixture(autouse=True)
def _in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def undrawn():
    """Draw no curves in this test, and score no baselines.

    Fixtures of a module or a session train before this begins, and draw.
    """
    from shortcuts import undrawn

    with undrawn():
        yield


@pytest.fixture
def untraced():
    """Trace only long trainings in this test. Fixtures of a module or a session train before this begins, and trace."""
    from shortcuts import untraced

    with untraced():
        yield


@pytest.fixture(scope="module")
def untraced_module():
    """The same for all tests and fixtures of a file."""
    from shortcuts import untraced

    with untraced():
        yield


@pytest.fixture
def traced(untraced):
    """Trace all in this test after all, in a file whose others have `untraced`."""
    from shortcuts import untraced

    with untraced(eagerly=False):
        yield


@pytest.fixture(autouse=True, scope="session")
def start_warm_python():
    """A function that returns the path of a Python that has imported Keras already, where this system can fork.

    The processes of kzoo itself (conversions of an export, workers of a search, readers of images) begin warm in all
    tests. Those that a test starts begin cold, unless it asks for `warm_children`.
    """
    import warm

    from kzoo.export import processes
    from kzoo.utils import child_process

    with ExitStack() as ends:
        cold = WARM or (sys.executable if BACKEND != "tensorflow" else None)
        start = cache(lambda: cold or ends.enter_context(warm.warm_python()))
        patch = ends.enter_context(pytest.MonkeyPatch.context())
        for module in (processes, child_process):
            patch.setattr(module, "sys", warm.WarmSys(start))
        yield start


@pytest.fixture(scope="session")
def warm_python(start_warm_python):
    """The path of that Python."""
    return start_warm_python()


@pytest.fixture
def warm_children(warm_python, monkeypatch):
    """Let the children of this test begin with Keras imported; not for tests of imports."""
    monkeypatch.setattr(sys, "executable", warm_python)


@pytest.fixture(scope="module")
def warm_children_of_the_module(warm_python):
    """The same for all tests and fixtures of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", warm_python)
        yield


@pytest.fixture
def registry_as_it_was():
    """Remove the presets that a test registers from the zoo afterwards."""
    import kzoo
    from kzoo.zoo.registry import catalogue

    kzoo.list_presets()
    before = [(entries, dict(entries)) for entries in (catalogue._presets, catalogue._owners)]
    yield
    for entries, old in before:
        entries.clear()
        entries.update(old)
