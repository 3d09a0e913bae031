"""The pages on serving, and deploy/: each command and block of Python runs; files that cannot run here are checked."""

import configparser
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from hand_made import write_digits
from PIL import Image
from served import GOLDEN, ROOT, serving

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")
PAGES = [ROOT / "docs" / "how_to" / name for name in ("serve.md", "deploy.md")]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", TEXT, re.M | re.S)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
UNIT = ROOT / "deploy" / "kzoo-serve.service"


@pytest.fixture(scope="module")
def folder(exports, tmp_path_factory):
    """The folder that the commands are run in."""
    home = tmp_path_factory.mktemp("docs")
    write_digits(home / "exports" / "digits_cnn")
    shutil.copytree(exports / "table", home / "exports" / "customers")
    shutil.copytree(exports / "language", home / "exports" / "char_gru")
    shutil.copy(GOLDEN / "table" / "new.csv", home / "customers.csv")
    Image.new("L", (20, 20), 90).save(home / "digit.png")
    return home


def test_the_calls_of_the_page_are_answered(folder, monkeypatch):
    """A server, started as on the page and as in the container, answers every call of the page."""
    monkeypatch.chdir(folder)
    (command,) = [shlex.split(line) for line in COMMANDS if line.startswith("kzoo serve ")]
    calls = [line for line in COMMANDS if line.startswith("curl ")]
    entry = json.loads(re.search(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.M)[1])
    assert entry[:2] == ["kzoo", "serve"] and entry[-2:] == ["--port", "8000"]
    with serving(folder, *command[2:], *entry[2:-2]) as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert health(server.port) == 0
        for call in calls:
            words = shlex.split(call.replace("http://127.0.0.1:8000", server.url))
            done = subprocess.run(
                [*words, "--fail-with-body"], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (call, done.stdout)
            if "text/event-stream" in call:
                assert done.stdout.count("data: ") == 51 and "event: end\n" in done.stdout
            elif "metrics" not in call and "Accept: text/csv" not in call:
                json.loads(done.stdout)
        for language, block in BLOCKS:
            if language == "python":
                with redirect_stdout(io.StringIO()) as printed:
                    exec(block.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"), {})
                assert printed.getvalue().strip(), block
        assert {line["status"] for line in server.log("request")} == {200}
    assert len(calls) > 10
    assert health(server.port) == 1


def health(port):
    """Return the exit code of the container's check."""
    check = json.loads(
        re.search(r"CMD (\[\"python\".*?\])$", DOCKERFILE.replace("\\\n", ""), re.M | re.S)[1]
    )
    command = [sys.executable, check[1], check[2].replace("8000", str(port))]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_other_commands_of_the_page_exist(capsys):
    from kzoo.cli import make_parser

    parser = make_parser({"export", "serve"})
    others = []
    for line in COMMANDS:
        words = shlex.split(line)
        if words[0] == "kzoo":
            parser.parse_args(words[1:])
        elif words[0] != "curl":
            others.append(line)
    shown = [
        line.lstrip("# ") for text in (DOCKERFILE, UNIT.read_text()) for line in text.splitlines()
    ]
    assert [line for line in others if line not in shown] == ['pip install "kzoo[serve,onnx]"']
    for option in re.findall(r"`(--[a-z-]+)", TEXT):
        assert option in {
            *parser._subparsers._group_actions[0].choices["serve"].options(),
            "--json",
            "--no-deps",
        }


def test_the_limits_are_those_of_the_server():
    from kzoo.inference.kinds.image import decode
    from kzoo.serve.limits import Limits

    limits = Limits()
    assert f"| {limits.body >> 20} MiB |" in TEXT and f"| {limits.bodies >> 20} MiB |" in TEXT
    assert (
        f"{limits.rows:,}, and {limits.row_bytes >> 20} MiB" in TEXT
        and f"| {limits.connections} |" in TEXT
    )
    assert f"{limits.numbers / 1e6:.1f} million numbers" in TEXT
    assert f"| tokens added to a text | {limits.tokens:,} |" in TEXT
    assert f"reads nothing of its response | {limits.sending:g} |" in TEXT
    assert f"| large responses in memory at once | {limits.responses >> 20} MiB |" in TEXT
    assert (
        f"| {limits.seconds:g} |" in TEXT
        and f"{decode._MAX_DECODED_PIXELS / 1e6:.1f} million" in TEXT
    )
    assert (
        f"| `--max-batch` | {limits.batch} |" in TEXT
        and f"| `--max-waiting` | {limits.waiting} |" in TEXT
    )


def test_the_image_installs_the_packages_of_serving():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    wanted = lambda text: {line for line in text.splitlines() if line and not line.startswith("#")}  # noqa: E731
    needs = wanted(setup["options.extras_require"]["serve"])
    needs |= {
        line
        for line in wanted(setup["options"]["install_requires"])
        if line.startswith(("numpy", "pillow"))
    }
    needs |= {
        line
        for line in wanted(setup["options.extras_require"]["onnx"])
        if line.startswith("onnxruntime")
    }
    assert set(re.findall(r'"([a-z]+>=[\d.]+)"', DOCKERFILE)) == needs
    for name in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.M):
        assert all((ROOT / part).exists() for part in name.split())
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.M) and "--no-deps ." in DOCKERFILE


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_accepts_the_unit(tmp_path):
    text = UNIT.read_text(encoding="utf-8")
    (start,) = re.findall(r"^ExecStart=(\S+) (.*)$", text, re.M)
    from kzoo.cli import make_parser

    make_parser({"serve"}).parse_args(start[1].split())
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace(start[0], shutil.which("true")), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-200:]  # of 100, which is without any protection
