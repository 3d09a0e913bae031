"""Write everything of a release into a new folder. `bash .ci/release OUT` runs it; nothing is published or tagged.

OUT/dist          sdist, and the wheel from it: built twice in fresh environments, with equal bytes
OUT/notes.md      notes of the version (.ci/changes.py)
OUT/site          the site, in a folder with the version
OUT/notebooks     the notebooks of recipes/
OUT/results       measured results, and benchmarks.md: beside those of the last release
OUT/sbom.json     what kzoo needs, in the versions with which the site was built (.ci/sbom.py)
OUT/SHA256SUMS    of all these files: sha256sum --check SHA256SUMS

The Python that runs this has the dependencies and the extra `docs`. It needs git, and a package index for setuptools.
"""

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import addresses
import benchmarks

import changes

ROOT = Path(__file__).parents[1]
BUILD = "from setuptools import build_meta; print(build_meta.build_{}({!r}))"


class Refused(Exception):
    """Why no release is made, in one line."""


def run(*words, cwd=ROOT, env=None, what):
    """Run a program; return its output, or raise Refused with its last line."""
    done = subprocess.run(
        words, cwd=cwd, env=env, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise Refused(f"{what} failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def check(out, allow_placeholder):
    """Return the notes; raise Refused where this checkout or the folder is not ready."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(f"{out} is not empty. Name a new folder.")
    wrong = addresses.mistakes(ROOT, allow_placeholder)
    if wrong:
        raise Refused(wrong[0])
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        raise Refused(f"{ROOT} is no git checkout, or git is missing.")
    dirty = run("git", "status", "--porcelain", what="git status").splitlines()
    if dirty:
        more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
        raise Refused(f"The checkout has changes that are not committed: {dirty[0][3:]}{more}.")
    try:
        notes, _ = changes.notes(ROOT)
    except changes.Mistake as mistake:
        raise Refused(str(mistake)) from None
    return notes


def same_everywhere(sdist, seconds):
    """Rewrite an sdist so that its bytes depend on its files only: order, owner, modes and times."""
    members = {}
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            if member.isfile():
                members[member.name] = (archive.extractfile(member).read(), member.mode & 0o100)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            content, executable = members[name]
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), seconds, 0o755 if executable else 0o644
            archive.addfile(info, io.BytesIO(content))
    with (
        sdist.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=seconds, compresslevel=9) as packed,
    ):
        packed.write(raw.getvalue())


def build(folder, seconds):
    """Build an sdist of the commit and a wheel from it, in a fresh environment; return their paths."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(seconds), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {
        k: v for k, v in environment.items() if not k.startswith(("PYTHONPATH", "KZOO_"))
    }
    venv.create(folder / "env", with_pip=True)
    python = next((folder / "env" / ("Scripts" if os.name == "nt" else "bin")).glob("python*"))
    need = "setuptools>=77"  # as in pyproject.toml
    run(
        python, "-m", "pip", "install", "--quiet", need, env=environment, what=f"pip install {need}"
    )
    run("git", "archive", "--output", folder / "commit.tar", "HEAD", what="git archive")
    with tarfile.open(folder / "commit.tar") as archive:
        archive.extractall(folder / "commit", filter="data")
    made = []
    for kind, source in (("sdist", folder / "commit"), ("wheel", None)):
        if kind == "wheel":
            same_everywhere(made[0], seconds)
            with tarfile.open(made[0]) as archive:
                archive.extractall(folder / "unpacked", filter="data")
            (source,) = (folder / "unpacked").iterdir()
        code = BUILD.format(kind, str(folder / "dist"))
        output = run(
            python, "-c", code, cwd=source, env=environment, what=f"The build of the {kind}"
        )
        made.append(folder / "dist" / output.split()[-1])
    return made


def build_twice(folder, seconds):
    """Return sdist, wheel and source folder of a build whose repetition has the same bytes."""
    builds = []
    for name in ("first", "again"):
        (folder / name).mkdir()
        builds.append(build(folder / name, seconds))
    for one, other in zip(*builds, strict=True):
        if one.name != other.name or one.read_bytes() != other.read_bytes():
            raise Refused(f"Two builds of {one.name} differ.")
    return *builds[0], folder / "first" / "commit"


def sums(folder):
    """Return the lines of SHA256SUMS for all files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    )


def make(out, allow_placeholder):
    notes = check(out, allow_placeholder)
    version = changes.version(ROOT)
    seconds = int(run("git", "log", "-1", "--format=%ct", what="git log"))
    python = sys.executable
    environment = os.environ | {"PYTHON": python, "SOURCE_DATE_EPOCH": str(seconds)}
    run(python, ".ci/notebooks.py", "--check", what=".ci/notebooks.py --check")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=out.parent) as name:
        work, new = Path(name), Path(name) / "out"
        new.mkdir()
        say(f"kzoo {version}: building twice")
        sdist, wheel, source = build_twice(work, seconds)
        (new / "dist").mkdir()
        for path in (sdist, wheel):
            shutil.copy(path, new / "dist")
        # sbom.py reads the metadata of the wheel, and of what is installed beside this Python
        run(
            *(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--target", work / "wheel", wheel),
            what="pip install of the wheel",
        )
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        run(
            *(python, ROOT / ".ci" / "sbom.py", new / "sbom.json", "--hash", digest),
            cwd=work,
            env=environment | {"PYTHONPATH": str(work / "wheel")},
            what=".ci/sbom.py",
        )
        (new / "notes.md").write_text(f"# kzoo {version}\n\n{notes}\n", encoding="utf-8")
        shutil.copytree(source / "recipes" / "notebooks", new / "notebooks")
        shutil.copytree(source / "results", new / "results")
        table = benchmarks.table(version, ROOT)
        (new / "results" / "benchmarks.md").write_text(table, encoding="utf-8")
        say("building the site")
        site = ("bash", ".ci/site", new / "site", version)
        run(*site, cwd=source, env=environment | {"PYTHONPATH": str(source)}, what=".ci/site")
        (new / "SHA256SUMS").write_text(sums(new), encoding="utf-8")
        if out.exists():
            out.rmdir()
        new.rename(out)
    say(f"{out}: {', '.join(path.name for path in sorted(out.iterdir()))}")


def say(line):
    print(line, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(prog=".ci/release", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    parser.add_argument(
        "--allow-placeholder",
        action="store_true",
        help=f"also with {addresses.PLACEHOLDER} in the address, to try a release",
    )
    arguments = parser.parse_args()
    try:
        make(arguments.out.absolute(), arguments.allow_placeholder)
    except Refused as refused:
        say(refused)
        sys.exit(2)


if __name__ == "__main__":
    main()
