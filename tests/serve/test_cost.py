"""Small requests that are expensive to read: each is refused, or answered, soon and without much memory."""

import json
import os
import sys
from pathlib import Path

import pytest
from hand_made import write_series
from messages import assert_mentions
from served import serving

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="memory and time of a process are read from /proc"
)
NAMES = ",".join(f"n{number}" for number in range(10_000))
ROW = {"age": 1, "income": 2, "code": 3, "since": "2024-01-01", "town": "x", "member": "y"}
CELLS = {
    "age": [
        "1" + " " * 300 + "x",
        "1" + " " * 100_000 + "x",
        "1e+" * 30_000,
        "\u0315\u0300" * 50_000,
    ],
    "since": [
        "2024-01-01 10:00" + " " * 100_000 + "x",
        " " * 100_000 + "x",
        "2024-01-01 10:00" + "T " * 50_000,
    ],
}
TABLE = {
    "short rows": (NAMES + "\n" + "1\n" * 8_000).encode(),
    "very many rows": b"n0,n1\n" + b"1\n" * 400_000,
    "very many columns": b"\n" + b"x," * 400_000 + b"\n1\n",
    "objects of other columns": json.dumps(
        [{f"{row} {cell}": 0 for cell in range(9)} for row in range(8_000)]
    ),
    "names that come twice": json.dumps([{f"n{n}": 0 for n in range(60_000)} | {" n59999": 0}]),
    "one long text": json.dumps([["a" * 100_000, 1.0], *[[1.0, 2.0]] * 9_000]),
    "columns of many lengths": json.dumps({f"n{n}": [0] * (n % 7 + 1) for n in range(40_000)}),
}
ACCENTS = json.dumps(["a" + "\u0315\u0300" * 60_000])


@pytest.fixture(scope="module")
def costly(exports, tmp_path_factory):
    """A server of a table, texts and a series that has answered once, so that imports count for no request."""
    folder = tmp_path_factory.mktemp("costly")
    write_series(folder / "power")
    with serving(folder, exports / "table", exports / "text", folder / "power") as server:
        for name, media, body in (
            ("table", "text/csv", b"age,b\n1,2\n"),
            ("table", "", b"[{}]"),
            ("text", "", b'["\xc3\xa9"]'),
        ):
            server.post(
                f"/v1/models/{name}/answer",
                body,
                headers={"Content-Type": media or "application/json"},
            )
        yield server


def processor_time(server):
    """Return the processor seconds of a server."""
    times = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def send(server, name, body):
    """Return status, text, MiB and processor seconds of a request."""
    media = "text/csv" if isinstance(body, bytes) else "application/json"
    body = body if isinstance(body, bytes) else body.encode()
    assert len(body) < 1 << 20
    before = server.peak(anew=True)
    began = processor_time(server)
    response = server.post(f"/v1/models/{name}/answer", body, headers={"Content-Type": media})
    took = server.peak() - before, processor_time(server) - began
    assert server.get("/v2/health/live").status_code == 200
    return response.status_code, response.text, *took


@pytest.mark.parametrize("column", CELLS)
def test_an_expensive_cell_is_read_as_missing(costly, column):
    for cell in CELLS[column]:
        status, text, grown, seconds = send(costly, "table", json.dumps([ROW | {column: cell}]))
        assert status == 200, text
        assert_mentions(text, f"{column!r}", "1 of 1")
        assert grown < 60 and seconds < 3, (grown, seconds)


@pytest.mark.parametrize("case", TABLE)
def test_an_expensive_table_is_refused(costly, case):
    status, text, grown, seconds = send(costly, "table", TABLE[case])
    assert status == 400 and len(text) < 2_000, text[:2_000]
    assert grown < 120 and seconds < 5, (grown, seconds)


def test_accents_in_a_row_and_a_very_long_series_cost_little(costly):
    status, _, grown, seconds = send(costly, "text", ACCENTS)
    assert status == 200 and grown < 120 and seconds < 3, (grown, seconds)
    status, text, grown, seconds = send(costly, "power", b"load,sun\n" + b"1\n" * 510_000)
    assert status == 400 and grown < 250, (text, grown)
    assert_mentions(text, "510,000", "500,000")
