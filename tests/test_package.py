"""What is handed over: one version, a wheel and an sdist that hold what they should, and work where nothing else is.

The slow ones build both from the files of this checkout, and install the wheel twice: in an environment that has only
kzoo's dependencies beside it, and in one that has NumPy and a runtime alone.
"""

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

import kzoo

ROOT = Path(kzoo.__file__).parents[1]
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")
pytestmark = pytest.mark.skipif(not (ROOT / "setup.cfg").is_file(), reason="kzoo is installed, and this is no checkout")


def tracked():
    """Return the files of this checkout: those that git knows or would know."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    words = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, capture_output=True, check=True, encoding="utf-8").stdout.split("\0")
    return sorted(name for name in names if name and (ROOT / name).is_file())


def test_there_is_one_version_number():
    """The package says it, and everything else asks there; the changelog says which versions there were."""
    assert CONFIG["metadata"]["version"] == "attr: kzoo.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", kzoo.__version__)
    said = re.compile(rf"(?<![\d.]){re.escape(kzoo.__version__)}(?![\d.])")
    for name in ("pyproject.toml", "setup.cfg", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md"):
        assert not said.search((ROOT / name).read_text(encoding="utf-8")), name


def test_the_project_says_where_it_lives():
    urls = dict(line.split(" = ") for line in CONFIG["metadata"]["project_urls"].strip().splitlines())
    assert {"Source", "Issues", "Changelog"} <= set(urls) and all(url.startswith("https://") for url in urls.values())
    assert urls["Source"] in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


# ---------------------------------------------------------------- built and installed


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build sdist and wheel of a copy of this checkout, and a wheel of what the sdist holds."""
    try:
        assert int(distribution("setuptools").version.split(".")[0]) >= 77
    except (PackageNotFoundError, AssertionError):
        pytest.skip("setuptools 77 or newer builds the package: pip install 'setuptools>=77'")
    home = tmp_path_factory.mktemp("built")
    for name in tracked():
        (home / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, home / "copy" / name)

    def build(what, source, out):
        call = f"from setuptools import build_meta; print(build_meta.build_{what}({str(home / out)!r}))"
        words = [sys.executable, "-c", call]
        said = subprocess.run(words, cwd=source, capture_output=True, check=True, encoding="utf-8").stdout
        return home / out / said.split()[-1]

    sdist = build("sdist", home / "copy", "out")
    with tarfile.open(sdist) as archive:
        archive.extractall(home / "unpacked", filter="data")
    (source,) = (home / "unpacked").iterdir()
    held = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    return dict(held=held, wheel=build("wheel", home / "copy", "out"), again=build("wheel", source, "again"))


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


@pytest.mark.slow
def test_the_wheel_is_the_package_and_nothing_else(built):
    found = contents(built["wheel"])
    about = f"kzoo-{kzoo.__version__}.dist-info/"
    assert {name for name in found if not name.startswith(about)} == {n for n in tracked() if n.startswith("kzoo/")}
    assert f"{about}licenses/LICENSE" in found and b"kzoo = kzoo.cli:main" in found[f"{about}entry_points.txt"]
    metadata = found[f"{about}METADATA"].decode()
    assert f"\nVersion: {kzoo.__version__}\n" in metadata and "\nProject-URL: Source, https://" in metadata
    for name, content in found.items():
        assert str(ROOT).encode() not in content, name


@pytest.mark.slow
def test_the_sdist_holds_the_checkout_and_builds_the_same_wheel(built):
    assert {name for name in built["held"] if not name.startswith(("PKG-INFO", "kzoo.egg-info/"))} == set(tracked())
    assert contents(built["again"]) == contents(built["wheel"])


def run(*words, cwd):
    """Run a program of an environment, which must find nothing of this checkout; return what it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KZOO_"))}
    done = subprocess.run(words, cwd=cwd, env=clean, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def environment(folder, wheel):
    """Make an empty environment with the wheel in it; return its site-packages and its programs."""
    folder.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", ".", cwd=folder)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--python", next(scripts.glob("python*")))
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = {path.parent for path in folder.rglob("kzoo-*.dist-info")}
    return site, scripts


@pytest.mark.slow
def test_the_first_command_works_from_the_wheel_with_its_dependencies(built, tmp_path):
    site, scripts = environment(tmp_path / "env", built["wheel"])
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # they are half a gigabyte
    where = run(scripts / "python", "-c", "import kzoo; print(kzoo.__file__, kzoo.__version__)", cwd=tmp_path)
    assert where.split() == [str(site / "kzoo" / "__init__.py"), kzoo.__version__]
    said = run(scripts / "kzoo", "train", "digits_cnn", "--epochs", "1", cwd=tmp_path)
    assert "digits_cnn on digits: best epoch 1 of 1" in said
    run(scripts / "kzoo", "report", "runs/digits_cnn-01", cwd=tmp_path)
    assert (tmp_path / "runs" / "digits_cnn-01" / "report.html").is_file()
    assert "100,458" in run(scripts / "kzoo", "show", "digits_cnn", cwd=tmp_path)
    assert kzoo.list_presets()[0] in run(scripts / "kzoo", "list", cwd=tmp_path)


def link(name, site):
    """Give an environment one of this one's packages, without what else it asks for."""
    for top in {file.parts[0] for file in distribution(name).files if file.parts[0] != ".."}:
        (site / top).symlink_to(Path(distribution(name).locate_file(top)))


@pytest.mark.slow
def test_an_export_answers_where_numpy_and_a_runtime_are_alone(built, tmp_path):
    pytest.importorskip("onnxruntime")
    site, scripts = environment(tmp_path / "env", built["wheel"])
    link("numpy", site), link("onnxruntime", site)
    digits = kzoo.load_data("digits", preset="digits_cnn").test.x[:20]
    kzoo.export("digits_cnn", tmp_path / "export", "onnx", weights="digits", progress=False)
    np.save(tmp_path / "digits.npy", digits)
    code = (
        "import importlib.util, numpy, kzoo.runtime\n"
        "for name in ('keras', 'tensorflow', 'sklearn', 'pandas', 'PIL', 'matplotlib'):\n"
        "    assert importlib.util.find_spec(name) is None, name\n"
        "answers = kzoo.runtime.load('export').predict(numpy.load('digits.npy'))\n"
        "print(*answers.labels)"
    )
    said = run(scripts / "python", "-c", code, cwd=tmp_path).split()
    assert said == kzoo.predict("digits_cnn", digits, weights="digits").labels
    assert "ok" in run(scripts / "kzoo", "check", "export", cwd=tmp_path)


# ---------------------------------------------------------------- who tests and releases it


def workflow(name):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))


def test_what_the_package_says_it_runs_on_is_tested():
    jobs = workflow("tests")["jobs"]
    said = re.findall(r"Python :: (3\.\d+)", CONFIG["metadata"]["classifiers"])
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert matrix["python"] == said and {os.split("-")[0] for os in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert set(said) <= set(jobs["light"]["strategy"]["matrix"]["python"])
    assert said[0] == CONFIG["options"]["python_requires"].removeprefix(">=")


def test_a_release_needs_no_password():
    publish = workflow("release")["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"] == "pypi"
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "secrets." not in text and "password:" not in text


def test_the_oldest_packages_are_those_that_setup_cfg_asks_for():
    found = subprocess.run([sys.executable, ROOT / ".ci" / "oldest.py"], capture_output=True, check=True, text=True)
    lines = found.stdout.split()
    asked = re.findall(r"^([a-z][\w-]*)(?:\[\w+\])?>=([\d.]+)", CONFIG["options"]["install_requires"], re.MULTILINE)
    assert lines[: len(asked)] == [f"{name}=={version}.*" for name, version in asked] and len(asked) > 10
