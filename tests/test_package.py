"""The package: a single version number, a wheel and an sdist with the right files, which work in a new environment.

The slow tests build both from the files of this checkout, and install the wheel twice: into an environment with
nothing but kzoo's dependencies, and into another with nothing but NumPy and a runtime.
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
from messages import assert_mentions

import kzoo

ROOT = Path(kzoo.__file__).parents[1]
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")
pytestmark = pytest.mark.skipif(
    not (ROOT / "setup.cfg").is_file(), reason="kzoo is installed, and this is no checkout"
)


def tracked():
    """Return the files of this checkout: those that git knows or would know."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    words = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, capture_output=True, check=True, encoding="utf-8").stdout.split(
        "\0"
    )
    return sorted(name for name in names if name and (ROOT / name).is_file())


def test_the_version_number_is_written_in_the_package_only():
    """Everything else reads it there, except CITATION.cff; the changelog has the earlier ones."""
    assert CONFIG["metadata"]["version"] == "attr: kzoo.utils.version.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", kzoo.__version__)
    version = re.compile(rf"(?<![\d.]){re.escape(kzoo.__version__)}(?![\d.])")
    for name in ("pyproject.toml", "setup.cfg", "CONTRIBUTING.md", "SECURITY.md"):
        assert not version.search((ROOT / name).read_text(encoding="utf-8")), name


def test_the_project_has_links_to_its_source_issues_and_changelog():
    urls = dict(
        line.split(" = ") for line in CONFIG["metadata"]["project_urls"].strip().splitlines()
    )
    assert {"Source", "Issues", "Changelog"} <= set(urls) and all(
        url.startswith("https://") for url in urls.values()
    )
    assert urls["Source"] in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


# ---------------------------------------------------------------- built and installed


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build sdist and wheel from a copy of this checkout, and another wheel from the sdist."""
    try:
        assert int(distribution("setuptools").version.split(".")[0]) >= 77
    except (PackageNotFoundError, AssertionError):
        pytest.skip("setuptools 77 or newer builds the package: pip install 'setuptools>=77'")
    home = tmp_path_factory.mktemp("built")
    for name in tracked():
        (home / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, home / "copy" / name)

    def build(kind, source, out):
        call = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(home / out)!r}))"
        words = [sys.executable, "-c", call]
        output = subprocess.run(
            words, cwd=source, capture_output=True, check=True, encoding="utf-8"
        ).stdout
        return home / out / output.split()[-1]

    sdist = build("sdist", home / "copy", "out")
    with tarfile.open(sdist) as archive:
        archive.extractall(home / "unpacked", filter="data")
    (source,) = (home / "unpacked").iterdir()
    held = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    return dict(
        held=held, wheel=build("wheel", home / "copy", "out"), again=build("wheel", source, "again")
    )


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


@pytest.mark.slow
def test_the_wheel_is_the_package_and_nothing_else(built):
    files = contents(built["wheel"])
    about = f"kzoo-{kzoo.__version__}.dist-info/"
    assert {name for name in files if not name.startswith(about)} == {
        n for n in tracked() if n.startswith("kzoo/")
    }
    assert (
        f"{about}licenses/LICENSE" in files
        and b"kzoo = kzoo.cli:main" in files[f"{about}entry_points.txt"]
    )
    metadata = files[f"{about}METADATA"].decode()
    assert (
        f"\nVersion: {kzoo.__version__}\n" in metadata
        and "\nProject-URL: Source, https://" in metadata
    )
    for name, content in files.items():
        assert str(ROOT).encode() not in content, name


@pytest.mark.slow
def test_the_sdist_holds_the_checkout_and_builds_the_same_wheel(built):
    assert {
        name for name in built["held"] if not name.startswith(("PKG-INFO", "kzoo.egg-info/"))
    } == set(tracked())
    assert contents(built["again"]) == contents(built["wheel"])


def run(*words, cwd):
    """Run a program of an environment, which must not see this checkout. Return its output."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KZOO_"))}
    done = subprocess.run(
        words, cwd=cwd, env=clean, capture_output=True, encoding="utf-8", timeout=600
    )
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
    # they are half a gigabyte
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(
        scripts / "python",
        "-c",
        "import kzoo; print(kzoo.__file__, kzoo.__version__)",
        cwd=tmp_path,
    )
    assert where.split() == [str(site / "kzoo" / "__init__.py"), kzoo.__version__]
    output = run(scripts / "kzoo", "train", "digits_cnn", "--epochs", "1", cwd=tmp_path)
    assert_mentions(output, "digits_cnn", "digits", "1 of 1")
    run(scripts / "kzoo", "report", "runs/digits_cnn-01", cwd=tmp_path)
    assert (tmp_path / "runs" / "digits_cnn-01" / "report.html").is_file()
    assert_mentions(run(scripts / "kzoo", "show", "digits_cnn", cwd=tmp_path), "100,458")
    assert kzoo.list_presets()[0] in run(scripts / "kzoo", "list", cwd=tmp_path)


def link(name, site):
    """Give an environment a package that is installed here, without its dependencies."""
    for top in {file.parts[0] for file in distribution(name).files if file.parts[0] != ".."}:
        (site / top).symlink_to(Path(distribution(name).locate_file(top)))


@pytest.mark.slow
def test_an_export_predicts_with_nothing_but_numpy_and_a_runtime(built, tmp_path):
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
    labels = run(scripts / "python", "-c", code, cwd=tmp_path).split()
    assert labels == kzoo.predict("digits_cnn", digits, weights="digits").labels
    assert_mentions(run(scripts / "kzoo", "check", "export", cwd=tmp_path), "ok")


# ---------------------------------------------------------------- workflows that test and release


def workflow(name):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(
        (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    )


def test_every_python_version_of_the_classifiers_is_tested():
    jobs = workflow("tests")["jobs"]
    versions = re.findall(r"Python :: (3\.\d+)", CONFIG["metadata"]["classifiers"])
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert matrix["python"] == versions and {os.split("-")[0] for os in matrix["os"]} == {
        "ubuntu",
        "macos",
        "windows",
    }
    assert set(versions) <= set(jobs["light"]["strategy"]["matrix"]["python"])
    assert versions[0] == CONFIG["options"]["python_requires"].removeprefix(">=")


def test_a_release_needs_no_password():
    publish = workflow("release")["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"] == "pypi"
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "secrets." not in text and "password:" not in text


def test_the_oldest_packages_are_those_that_setup_cfg_requires():
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "oldest.py"], capture_output=True, check=True, text=True
    )
    lines = done.stdout.split()
    required = re.findall(
        r"^([a-z][\w-]*)(?:\[\w+\])?>=([\d.]+)", CONFIG["options"]["install_requires"], re.MULTILINE
    )
    assert (
        lines[: len(required)] == [f"{name}=={version}.*" for name, version in required]
        and len(required) > 10
    )
