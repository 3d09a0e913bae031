"""A family's file is read whatever its layout is; and a catalogue that cannot be read."""

import sys

import pytest
from messages import refuses

import kzoo
from kzoo.zoo.registry import catalogue, family

ODD = '''
"""A family."""

NEEDS: dict = {
    "width": {"depth": "any"},
}  # fmt: skip


def build(*, name, input_shape=(4,), outputs=2,
          depth=1, width=8):  # fmt: skip
    """Return a network.

    Args:
        depth: how many layers.
        width, outputs: units of each. Not more.
    """
    raise NotImplementedError
'''


@pytest.fixture
def odd(tmp_path, monkeypatch):
    def write(source, module="odd_family"):
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setitem(family.FAMILIES, "odd", (module, {}))
        family._parse_builder.cache_clear()
        return family.builder_of("odd")

    yield write
    family._parse_builder.cache_clear()
    sys.modules.pop("odd_family", None)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace(':  # fmt: skip\n    """', ' -> object:\n    """'),
        lambda text: text.replace(
            "def build(*, name", "def build(  # a comment: with (brackets\n    *, name"
        ),
        lambda text: text.replace("outputs=2,", "outputs=2,  # two) of them\n"),
    ],
)
def test_a_builder_is_read_from_any_layout_of_its_signature(odd, change):
    builder = odd(change(ODD))
    assert builder.takes == ("input_shape", "outputs", "depth", "width")
    assert builder.defaults == {"input_shape": (4,), "outputs": 2, "depth": 1, "width": 8}
    assert (
        builder.meanings["depth"] == "how many layers"
        and builder.meanings["width"] == "units of each"
    )
    assert builder.needs == {"width": {"depth": "any"}}


def test_a_file_without_a_builder_and_needs_that_are_no_literal_are_refused(odd):
    with refuses("'odd_family'", "'build'"):
        odd(ODD.replace("def build", "def make"))
    with refuses("odd_family", "NEEDS", "dict", "kzoo.zoo.families.fnn"):
        odd(ODD.replace('"width": {"depth": "any"},', "**dict(width=1),"))


def test_a_catalogue_that_cannot_be_read_leaves_no_partial_list(tmp_path, monkeypatch):
    """Else the presets of the modules that were read before the broken module would be listed as if they were all."""
    package = __import__("kzoo.zoo.presets", fromlist=["presets"])
    broken = tmp_path / "zz_broken.py"
    broken.write_text(
        "from dataclasses import replace\nfrom kzoo.zoo.registry.catalogue import _presets, register\n"
        "register(replace(_presets['iris_fnn'], name='half_fnn'))\nraise RuntimeError('broken')\n"
    )
    all_of_them = kzoo.list_presets()
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setattr(catalogue, "_catalogue", "unread")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            kzoo.list_presets()
    broken.write_text("")
    assert kzoo.list_presets() == all_of_them
    sys.modules.pop("kzoo.zoo.presets.zz_broken", None)
