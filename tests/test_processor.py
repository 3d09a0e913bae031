"""The instruction sets of the processor, on which the last bit of a result depends."""

import pytest

from kzoo.utils import processor

CPUINFO = {
    "Zen 3": ("flags\t\t: fpu sse4_2 avx f16c avx2 fma bmi2 vaes", ("avx", "avx2", "fma"), False),
    "Zen 4": (
        "model name\t: AMD\nflags\t\t: fpu fma avx avx2 avx512f avx512_bf16 avx512_vnni",
        ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16"),
        True,
    ),
    "Neoverse": ("Features\t: fp asimd sve i8mm bf16", ("asimd", "sve", "i8mm", "bf16"), True),
    "unknown": ("processor\t: 0", (), False),
}


@pytest.fixture(autouse=True)
def _empty_cache():
    processor.instruction_sets.cache_clear()
    yield
    processor.instruction_sets.cache_clear()


@pytest.mark.parametrize("name", CPUINFO)
def test_instruction_sets_are_read_from_linux(name, tmp_path, monkeypatch):
    text, sets, bfloat16 = CPUINFO[name]
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    assert processor.instruction_sets() == sets and processor.computes_bfloat16() == bfloat16


def test_without_cpuinfo_there_are_no_instruction_sets(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "none")
    assert processor.instruction_sets() == () and not processor.computes_bfloat16()
