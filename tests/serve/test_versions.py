"""Versions of a model: a new version takes over without a lost request; a broken version is refused."""

import asyncio
import json
import os
import shutil
import time

import numpy as np
import pytest
from hand_made import write_digits
from messages import assert_mentions
from served import requesting, serving

from kzoo.serve.limits import Limits
from kzoo.serve.model_repository import open_repository

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")
X = np.ones((1, 8, 8, 1))


def test_new_versions_take_over_and_broken_ones_do_not(tmp_path):
    home = tmp_path / "m"
    write_digits(home / "1", seed=1)
    (home / "notes").mkdir()  # no version
    with serving(tmp_path, home) as server:
        answers = {1: server.answers("m", X)}
        with requesting(server) as results:
            # A new version, written slowly: it counts once it is whole.
            write_digits(tmp_path / "two", seed=2)
            (home / "2").mkdir()
            shutil.copy(tmp_path / "two" / "kzoo.json", home / "2")
            time.sleep(0.5)  # less than the interval between two checks
            shutil.copytree(tmp_path / "two" / "onnx", home / "2" / "onnx")
            server.wait_for(lambda: server.log("taken over"))
            answers[2] = server.answers("m", X)
            # Broken versions: an altered file, too few classes, answers of NaN, and a manifest that is no JSON.
            write_digits(home / "3", seed=3)
            with open(home / "3" / "onnx" / "model.onnx", "ab") as file:
                file.write(b"x")
            write_digits(home / "4", classes=7)
            write_digits(home / "5", shift=np.nan)
            (home / "6").mkdir()
            (home / "6" / "kzoo.json").write_text("{")
            broken = {"3", "4", "5", "6"}
            server.wait_for(lambda: {line["version"] for line in server.log("refused")} >= broken)
            # A good version after the broken versions, and then the same version written again.
            write_digits(home / "7", seed=7)
            server.wait_for(lambda: len(server.log("taken over")) == 2)
            answers[7] = server.answers("m", X)
            write_digits(home / "7", seed=8)
            server.wait_for(lambda: len(server.log("taken over")) == 3)
        assert {status for status, _, _ in results} == {200}, [
            result for result in results if result[0] != 200
        ]
        order = [version for _, version, _ in results]
        assert set(order) == {"1", "2", "7"}
        # Each answer is that of the version that it names.
        for _, version, text in results[:: max(1, len(results) // 50)]:
            data = np.array(json.loads(text)["outputs"][0]["data"])
            assert version == "7" or np.allclose(data, answers[int(version)][0], atol=1e-6)
        refused = server.log("refused")
        # once each, not once a second
        assert {line["version"] for line in refused} == broken and len(refused) < 8
        assert not np.allclose(server.answers("m", X), answers[7])
        old = server.post("/v1/models/m/versions/1:predict", json={"instances": X.tolist()}).json()[
            "predictions"
        ]
        np.testing.assert_allclose(old, answers[1], atol=1e-6)
        assert server.get("/v1/models/m/versions/3").status_code == 404
        assert server.get("/v2/models/m").json()["versions"] == ["1", "2", "7"]
        shutil.rmtree(home / "7")
        server.wait_for(lambda: server.log("gone"))
        np.testing.assert_allclose(server.answers("m", X), answers[2], atol=1e-6)


def test_a_version_in_the_folder_of_the_export_and_an_older_version_as_a_fallback(tmp_path):
    """FOLDER is the first version, FOLDER/2 the second; a version that cannot be opened is skipped."""
    write_digits(tmp_path / "m", seed=1)
    write_digits(tmp_path / "m" / "2", seed=2)
    (tmp_path / "m" / "2" / "onnx" / "model.onnx").write_bytes(b"x")
    with serving(
        tmp_path, tmp_path / "m", f"other={write_digits(tmp_path / 'x y', seed=3)}"
    ) as server:
        assert {model["name"] for model in server.get("/v1/models").json()["models"]} == {
            "m",
            "other",
        }
        response = server.post("/v1/models/m/answer", json=X.tolist())
        assert (response.status_code, response.json()["version"]) == (200, "1")
        refused = server.post("/v1/models/m/versions/2/answer", json=X.tolist())
        assert refused.status_code == 503
        assert_mentions(refused.json()["error"], "'m'", "version 2")
        assert (
            str(tmp_path) not in refused.text and str(tmp_path) in server.log("refused")[0]["error"]
        )
        assert server.get("/v2/models/m/versions/2/ready").status_code == 503
        assert server.get("/v2/models/m/ready").status_code == 200
        assert (
            server.get("/v1/models/m/versions/2").json()["model_version_status"][0]["state"]
            == "END"
        )
        assert len(server.log("refused")) == 1
        assert server.answers("other", X).shape == (1, 10)


def test_files_that_are_rewritten_with_their_size_and_time_are_opened_anew(tmp_path):
    write_digits(tmp_path / "one", seed=1)
    write_digits(tmp_path / "two", seed=2)
    files = [
        path.relative_to(tmp_path / "two")
        for path in (tmp_path / "two").rglob("*")
        if path.is_file()
    ]
    events = []
    repository = open_repository(
        [tmp_path / "one"], limits=Limits(), log=lambda event, **more: events.append(event)
    )
    for file in files:
        to = tmp_path / "one" / file
        times = to.stat()
        content = (tmp_path / "two" / file).read_bytes()
        with open(to, "r+b") as stream:  # in place
            stream.write(content.ljust(times.st_size))
        os.utime(to, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert (to.stat().st_size, to.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)

    async def look():
        await repository["one"].refresh()
        await repository["one"].refresh()  # nothing is written any more

    asyncio.run(look())
    assert events == ["opened", "taken over"]
