"""Uploads of runs to a server of S3 that is busy, breaks connections, or refuses what it accepted before."""

import random
from pathlib import Path

import numpy as np
from cloud.conftest import KEY, SECRET
from cloud.test_uploads import OPTIONS
from messages import assert_mentions, refuses

import kzoo
from kzoo.cloud import uploads

WORD = "s3://kzoo-test/runs/iris"


def go(out=WORD, **options):
    return kzoo.train("iris_fnn", "iris", out=out, **OPTIONS | options)


def test_a_busy_server_gets_the_run_and_broken_connections_give_it_back(
    s3, proxy, impatient, undrawn, untraced, monkeypatch, tmp_path
):
    proxy.statuses = [503, 500, 503]
    uploading = []

    def busy(method, path):
        if method == "PUT" and path.endswith("best.keras") and not uploading:
            uploading.append(path)
            proxy.statuses = [500, 503, 500]

    proxy.before = busy
    run = go()
    assert uploading and proxy.statuses == []
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "other"))
    size = s3.info(f"{WORD}/best.keras")["size"]
    proxy.cuts = random.Random(0).sample(range(size), 5)
    proxy.statuses = [503]
    again = kzoo.Run(WORD)
    assert again.summary == run.summary
    assert proxy.statuses == [] and len(proxy.cuts) < 5
    for a, b in zip(again.model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_credentials_that_expire_lose_nothing(
    s3, proxy, impatient, undrawn, untraced, monkeypatch, capfd
):
    monkeypatch.setattr(uploads, "_SETTLED", 0.0)

    def expire(method, path):
        if method == "PUT" and path.endswith("best.keras"):
            proxy.refusal = (403, "ExpiredToken", f"The token {SECRET} of {KEY} has expired.")

    proxy.before = expire
    with refuses("expired", "What was written is in", "the same command uploads it") as caught:
        go()
    folder = Path(str(caught.value).partition("is in ")[2].partition(";")[0])
    trained = kzoo.Run(folder).summary
    shown = str(caught.value) + "".join(capfd.readouterr())
    assert SECRET not in shown and KEY not in shown
    proxy.before, proxy.refusal = lambda method, path: None, None
    with refuses(WORD, "not complete"):
        kzoo.Run(WORD)
    run = go()
    assert run.summary == trained  # it was not trained again
    assert ".unfinished" not in str(s3.find("kzoo-test"))
    stored = b"".join(s3.cat(path) for path in s3.find("kzoo-test"))
    assert SECRET.encode() not in stored and KEY.encode() not in stored


def test_no_permission_and_no_bucket_are_one_line_before_anything_is_trained(
    s3, proxy, impatient, capfd
):
    with refuses("no-such-bucket", "Create it"):
        go("s3://no-such-bucket/iris")
    proxy.refusal = (403, "AccessDenied", "Access Denied")
    with refuses(WORD, "no permission") as caught:
        go()
    assert_mentions(str(caught.value), "AWS_PROFILE")
    assert capfd.readouterr().err == ""
