"""TensorFlow computes with oneDNN where the processor has AVX2, unless the user or a resumed run decides otherwise.

The setting must be made before TensorFlow is imported, and again when a training is resumed.
"""

import json
import os
import subprocess
import sys

import pytest
from messages import assert_mentions

from kzoo.utils import onednn

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere TensorFlow's default stays"
)

PLAIN, MODERN = "avx avx2 fma", "avx avx2 fma avx512f avx512_vnni"
SCRIPT = """
import json, os, pathlib, sys
from kzoo.utils import processor
processor._CPUINFO = pathlib.Path("cpuinfo")
import tensorflow
from tensorflow.python.util import _pywrap_util_port
from kzoo.utils import onednn
print(json.dumps([_pywrap_util_port.IsMklEnabled(), onednn.enabled(), os.environ.get(onednn.VARIABLE)]))
print(json.dumps([onednn.advice(), onednn.advice()]))
"""
LATE = "import tensorflow\n" + SCRIPT


def output_of(script, sets, folder, **environment):
    """Run a script that believes the processor to have these instruction sets. Return the JSON lines it prints."""
    (folder / "cpuinfo").write_text(f"flags : {sets}\n")
    rest = {name: value for name, value in os.environ.items() if name != onednn.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=rest | environment,
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_onednn_is_on_in_tensorflow_where_the_processor_has_avx2(tmp_path):
    settings, advice = output_of(SCRIPT, PLAIN, tmp_path)
    assert settings == [True, True, "1"] and advice == [[], []]


def test_the_users_setting_stays(tmp_path):
    settings, advice = output_of(SCRIPT, PLAIN, tmp_path, TF_ENABLE_ONEDNN_OPTS="0")
    assert settings == [False, False, "0"] and advice == [[], []]


def test_a_tensorflow_that_was_imported_first_stays_without_onednn_and_a_single_line_gives_the_fix(
    tmp_path,
):
    (_, enabled, variable), (first, second) = output_of(LATE, PLAIN, tmp_path)
    assert (enabled, variable, second) == (False, None, [])
    (line,) = first
    assert_mentions(
        line,
        "TensorFlow",
        "`import kzoo` before `import keras`",
        "1.3 to 1.7 times as fast",
        "oneDNN",
    )
    assert_mentions(line, "TF_ENABLE_ONEDNN_OPTS=1")


def test_nothing_switches_onednn_once_tensorflow_is_imported(tmp_path):
    """If this fails, TensorFlow reads the variable later, and `prepare` can run after its import."""
    later = f"import os, tensorflow\nos.environ[{onednn.VARIABLE!r}] = '1'\n"
    (is_on, *_), _ = output_of(later + SCRIPT, PLAIN, tmp_path, TF_ENABLE_ONEDNN_OPTS="0")
    assert is_on is False


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not imported TensorFlow, without any setting of the user."""
    monkeypatch.setattr(onednn, "_prepared", False)
    monkeypatch.setattr(onednn, "_at_import", None)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv(onednn.VARIABLE, "")  # which restores the old value afterwards
    monkeypatch.delenv(onednn.VARIABLE)
    return monkeypatch


RULE = {
    "Zen 3": ("avx avx2 fma", "1", True),
    "without FMA": ("avx avx2", None, False),
    "Zen 4": (MODERN + " avx512_bf16", None, True),
    "Alder Lake": ("avx avx2 fma avx_vnni", None, True),
    "ARM": ("asimd sve", None, None),
    "unknown": ("", None, None),
}


@pytest.mark.parametrize("name", RULE)
def test_the_rule_follows_the_processor(name, fresh):
    sets, variable, enabled = RULE[name]
    fresh.setattr(onednn, "instruction_sets", lambda: tuple(sets.split()))
    onednn.prepare()
    assert (os.environ.get(onednn.VARIABLE), onednn.enabled()) == (variable, enabled)


OF_RUNS = {
    "as it began": ({"backend": "tensorflow", "onednn": False}, "0"),
    "on": ({"backend": "tensorflow", "onednn": True}, "1"),
    "unknown": ({"backend": "tensorflow", "onednn": None}, "1"),  # the rule's
    # TensorFlow's default
    "before it was recorded": ({"backend": "tensorflow", "processor": PLAIN.split()}, "0"),
    "the same, elsewhere": ({"backend": "tensorflow", "processor": MODERN.split()}, "1"),
    "on JAX": ({"backend": "jax"}, "1"),
}


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_resumed_run_keeps_its_setting(name, fresh):
    config, variable = OF_RUNS[name]
    fresh.setattr(onednn, "instruction_sets", lambda: tuple(PLAIN.split()))
    onednn.keep(onednn.recorded(config))
    onednn.prepare()
    assert os.environ[onednn.VARIABLE] == variable


def test_a_resumed_run_does_not_overrule_the_user(fresh):
    fresh.setenv(onednn.VARIABLE, "true")
    fresh.setattr(onednn, "instruction_sets", lambda: tuple(PLAIN.split()))
    onednn.keep(False)
    onednn.prepare()
    assert os.environ[onednn.VARIABLE] == "true" and onednn.enabled() is True
