"""`bash .ci/release OUT`: what it refuses, in one line, and what it writes."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from messages import assert_mentions

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="kzoo is installed, no checkout"),
    pytest.mark.skipif(
        shutil.which("git") is None or shutil.which("bash") is None, reason="needs git and bash"
    ),
]
# What is read before the first build.
READ = ("CHANGELOG.md", "CITATION.cff", "SECURITY.md", "SUPPORT.md", "setup.cfg", ".gitignore")
READ += (".ci", ".github", "changes", "kzoo/utils/version.py")
ADDRESS = "https://github.com/flowers/kzoo"


def git(folder, *words):
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", folder, *name, *words], check=True, capture_output=True)


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "A commit", "--allow-empty")


def copied(folder, names):
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    commit(folder)
    return folder


@pytest.fixture
def checkout(tmp_path):
    return copied(tmp_path / "a checkout", READ)


def release(checkout, *words):
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}
    return subprocess.run(
        ["bash", checkout / ".ci" / "release", *words],
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        env=environment,
    )


def refused(done, *words):
    (line,) = done.stderr.splitlines()
    assert_mentions(line, *words)
    assert (done.returncode, done.stdout) == (2, "")


def set_address(checkout, address):
    words = [sys.executable, checkout / ".ci" / "addresses.py", "--set", address]
    return subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60)


def test_the_files_of_this_checkout_repeat_one_address():
    sys.path.insert(0, str(ROOT / ".ci"))
    try:
        import addresses
    finally:
        sys.path.pop(0)
    assert addresses.mistakes(ROOT, allow_placeholder=True) == []
    assert addresses.PLACEHOLDER in addresses.source(ROOT) or addresses.mistakes(ROOT) == []


def test_a_placeholder_and_another_address_are_refused_with_file_and_line(checkout, tmp_path):
    assert set_address(checkout, "https://github.com/OWNER/kzoo").returncode == 2
    commit(checkout)
    number = (checkout / "setup.cfg").read_text().split("\n").index(
        "    Source = https://github.com/OWNER/kzoo"
    ) + 1
    refused(release(checkout, tmp_path / "out"), f"setup.cfg:{number}", "OWNER", "--set")
    assert set_address(checkout, f"{ADDRESS}.git").returncode == 0
    assert "OWNER" not in (checkout / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text()
    citation = checkout / "CITATION.cff"
    citation.write_text(citation.read_text().replace(ADDRESS, "https://github.com/trees/kzoo", 1))
    done = set_address(checkout, ADDRESS)
    assert done.returncode == 2
    assert_mentions(done.stderr, "CITATION.cff:", "trees", ADDRESS)
    assert_mentions(set_address(checkout, "kzoo").stderr, "'kzoo'", "https://")
    assert not (tmp_path / "out").exists()


def test_what_is_not_ready_is_refused(checkout, tmp_path):
    set_address(checkout, ADDRESS)
    commit(checkout)
    out = tmp_path / "out"
    (checkout / "changes" / "data-late.added.md").write_text("Not committed.\n")
    refused(release(checkout, out), "changes/data-late.added.md", "committed")
    (checkout / "changes" / "data-late.added.md").rename(checkout / "changes" / "late.md")
    commit(checkout)
    refused(release(checkout, out), "changes/late.md", "NAME.KIND.md")
    (checkout / "changes" / "late.md").unlink()
    (checkout / "kzoo" / "utils" / "version.py").write_text('__version__ = "77.0.0"\n')
    shutil.rmtree(checkout / "changes")
    commit(checkout)
    refused(release(checkout, out), "77.0.0", "CHANGELOG.md")
    out.mkdir()
    (out / "file").write_text("")
    refused(release(checkout, out), str(out), "empty")
    shutil.rmtree(checkout / ".git")
    (out / "file").unlink()
    refused(release(checkout, out), "git")
    assert list(out.iterdir()) == []


def test_results_are_beside_those_of_the_last_release(checkout):
    (checkout / "results").mkdir()
    file = checkout / "results" / "results-iris.csv"
    file.write_text("model,kind,accuracy,seconds\niris_fnn,preset,0.91,3\nold_fnn,preset,0.5,1\n")
    commit(checkout)
    git(checkout, "tag", "v0.0.9")
    file.write_text("model,kind,accuracy,seconds\niris_fnn,preset,0.96,2\npaper,published,0.9,\n")
    commit(checkout)
    words = [sys.executable, checkout / ".ci" / "benchmarks.py"]
    table = subprocess.run(words, capture_output=True, encoding="utf-8", check=True).stdout
    assert_mentions(table, "v0.0.9")
    rows = [line for line in table.splitlines() if line.startswith("| iris")]
    assert rows == [
        "| iris | iris_fnn | accuracy | 0.96 | 0.91 | 2 | 3 | - | - |",
        "| iris | old_fnn | accuracy | - | 0.5 | - | 1 | - | - |",
    ]


@pytest.mark.slow
def test_a_release_has_all_files_and_their_sums(tmp_path):
    pytest.importorskip("myst_parser", reason="pip install -e '.[docs]' builds the site")
    from test_package import tracked

    checkout = copied(tmp_path / "checkout", tracked())
    out = tmp_path / "out"
    done = release(checkout, out, "--allow-placeholder")
    if "pip install setuptools" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    (wheel,) = (out / "dist").glob("*.whl")
    (sdist,) = (out / "dist").glob("*.tar.gz")
    version = wheel.name.split("-")[1]
    assert sdist.name == f"kzoo-{version}.tar.gz"
    assert (out / "notes.md").read_text(encoding="utf-8").startswith(f"# kzoo {version}\n")
    assert (out / "site" / version / "index.html").is_file()
    assert f"/blob/v{version}/" in (
        out / "site" / version / "development" / "contributing.html"
    ).read_text(encoding="utf-8")
    assert {path.name for path in (out / "notebooks").iterdir()} == {
        path.name for path in (ROOT / "recipes" / "notebooks").iterdir()
    }
    assert (out / "results" / "results-iris.csv").is_file()
    sums = dict(
        reversed(line.split("  ", 1))
        for line in (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
    files = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    assert sums == {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if name != "SHA256SUMS"
    }
    bom = json.loads((out / "sbom.json").read_text(encoding="utf-8"))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    root = bom["metadata"]["component"]
    assert (root["version"], root["hashes"][0]["content"]) == (version, sums[f"dist/{wheel.name}"])
    components = {c["name"]: c for c in bom["components"]}
    assert {"tensorflow", "keras", "numpy"} <= set(components) and len(components) > 30
    for entry in bom["components"]:
        assert entry["purl"] == f"pkg:pypi/{entry['name']}@{entry['version']}"
    references = {c["bom-ref"] for c in [root, *bom["components"]]}
    assert {d["ref"] for d in bom["dependencies"]} == references
    assert all(set(d["dependsOn"]) <= references for d in bom["dependencies"])
