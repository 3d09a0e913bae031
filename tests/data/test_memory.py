"""How much memory is free for data: of the machine, within a container's limit, or as $KZOO_MEMORY sets it."""

import pytest
from messages import refuses

from kzoo.utils import memory


@pytest.fixture(autouse=True)
def without_kzoo_memory(monkeypatch):
    monkeypatch.delenv("KZOO_MEMORY", raising=False)


def test_some_memory_is_free_and_no_more_than_there_is():
    import os

    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.free_memory() <= there


@pytest.mark.parametrize(
    ("text", "size"), [("2GiB", 2 << 30), ("500 mb", 500 << 20), ("1.5g", 3 << 29), ("4096", 4096)]
)
def test_kzoo_memory_sets_the_limit(monkeypatch, text, size):
    monkeypatch.setenv("KZOO_MEMORY", text)
    assert memory.free_memory() == size
    assert memory.too_large(0.6 * size) and not memory.too_large(0.4 * size)


def test_an_invalid_size_is_refused(monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "plenty")
    with refuses("KZOO_MEMORY='plenty'", "500MiB", "2GiB"):
        memory.free_memory()


def _group(folder, most, used, cached=0, version=2):
    folder.mkdir(parents=True, exist_ok=True)
    names = (
        ("memory.max", "memory.current")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    )
    for name, value in zip(names, (most, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(
        f"anon 1\n{'' if version == 2 else 'total_'}inactive_file {cached}\n"
    )


def test_a_container_leaves_less_and_the_pages_of_files_in_it_count_as_free(tmp_path):
    (tmp_path / "cgroup").write_text("0::/box/inner\n")
    _group(tmp_path / "fs" / "box" / "inner", "max", 10)
    _group(tmp_path / "fs" / "box", 1000, 700, cached=200)
    assert list(memory._memory_left_in_groups(tmp_path / "fs", tmp_path / "cgroup")) == [500]


def test_control_groups_of_the_first_version(tmp_path):
    (tmp_path / "cgroup").write_text("5:cpu,cpuacct:/box\n9:memory:/box\n")
    _group(tmp_path / "fs" / "memory" / "box", 1000, 400, cached=100, version=1)
    _group(tmp_path / "fs" / "memory", 9223372036854771712, 5000, version=1)
    assert list(memory._memory_left_in_groups(tmp_path / "fs", tmp_path / "cgroup")) == [700]
