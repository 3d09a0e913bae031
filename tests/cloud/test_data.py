"""Data at addresses: fingerprints, splits and scores of local data; what is copied again; faults on the way."""

import json
from pathlib import Path

import numpy as np
from cloud.conftest import SECRET
from messages import assert_mentions

import kzoo
from kzoo.cli import main
from kzoo.zoo.run import Run

ROWS = 400


def table(path, rows=ROWS, seed=0):
    """Write a small table of two classes."""
    rng = np.random.default_rng(seed)
    lines = ["age,plan,churned"]
    for _ in range(rows):
        age, plan = rng.integers(18, 90), rng.choice(["basic", "plus"])
        lines.append(
            f"{age},{plan},{'yes' if age + 20 * (plan == 'plus') + rng.normal(0, 9) > 62 else 'no'}"
        )
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def same(remote, local):
    """Fail unless two data sets are the same."""
    assert remote.fingerprint == local.fingerprint and remote.name == local.name
    for part in ("train", "validation", "test"):
        for name in ("x", "y"):
            a, b = (np.asarray(getattr(getattr(data, part), name)[:]) for data in (remote, local))
            assert np.array_equal(a, b)


def test_a_table_trains_as_the_local_one(s3, capsys):
    table("churn.csv")
    s3.put_file("churn.csv", "kzoo-test/data/churn.csv")
    address = "s3://kzoo-test/data/churn.csv"
    options = ["--target", "churned", "--epochs", "2", "--quiet", "--json"]
    documents = {}
    for name, source in (("local", "churn.csv"), ("remote", address)):
        assert main(["train", "tabular_fnn", "--data", source, "--out", name, *options]) == 0
        documents[name] = json.loads(capsys.readouterr().out)
    local, remote = Run("local"), Run("remote")
    assert remote.data.fingerprint == local.data.fingerprint
    assert remote.summary["test"] == local.summary["test"]
    assert documents["remote"]["data"] == documents["local"]["data"] == "churn.csv"
    assert f"--data {address}" in remote.config["command"]
    source = remote.data.source
    assert source["address"] == address and len(source["version"]) == 32
    assert source["etags"] == {"churn.csv": s3.info("kzoo-test/data/churn.csv")["ETag"].strip('"')}
    assert local.data.source is None
    # the same command: the run is there; without data, it is read at its address
    assert main(["train", "tabular_fnn", "--data", address, "--out", "remote", *options]) == 0
    assert main(["evaluate", "remote", "--json"]) == 0
    for source in (address, "churn.csv"):
        capsys.readouterr()
        assert main(["evaluate", "remote", "--data", source, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["data"] == f"{source}, test split"
    assert main(["predict", "remote", address, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == ROWS
    # changed
    before = remote.data.source["version"]
    table("churn.csv", seed=1)
    s3.put_file("churn.csv", "kzoo-test/data/churn.csv")
    assert main(["train", "tabular_fnn", "--data", address, "--out", "remote", *options]) == 2
    error = capsys.readouterr().err
    assert_mentions(error, "fingerprint", f"data.source.version: stored {before}")
    assert main(["evaluate", "remote"]) == 2
    assert_mentions(capsys.readouterr().err, before, address, "changed")
    files = [path for name in ("local", "remote") for path in Path(name).rglob("*")]
    texts = [path.read_bytes() for path in files if path.is_file()]
    assert not any(
        SECRET.encode() in text or (b"cache" in text and b"downloads" in text) for text in texts
    )


def test_folders_patterns_and_single_files(s3):
    for part in range(4):
        table(f"2024-{part}.csv", 100, seed=part)
    for name in sorted(Path().glob("*.csv")):
        s3.put_file(str(name), f"kzoo-test/tables/{name}")
    s3.pipe_file("kzoo-test/tables/old/2024-9.csv", b"other\n1\n")
    same(
        kzoo.load_data("s3://kzoo-test/tables/2024-*.csv", target="churned"),
        kzoo.load_data("2024-*.csv", target="churned"),
    )
    folder = Path("reviews")
    for name, words in (("good", "fine great nice"), ("bad", "poor awful sad")):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            text = f"{words.split()[i % 3]} number {i}"
            (folder / name / f"{i}.txt").write_text(text, encoding="utf-8")
            s3.pipe_file(f"kzoo-test/x/reviews/{name}/{i}.txt", text.encode())
    same(kzoo.load_data("s3://kzoo-test/x/reviews"), kzoo.load_data("reviews"))
    same(kzoo.load_data("s3://kzoo-test/x/reviews/"), kzoo.load_data("reviews/"))
    x, y = np.arange(120.0).reshape(60, 2), np.arange(60) % 2
    np.savez("a.npz", x=x, y=y)
    s3.put_file("a.npz", "kzoo-test/a.npz")
    same(kzoo.load_data("s3://kzoo-test/a.npz"), kzoo.load_data("a.npz"))
    data = kzoo.load_data(
        "2024-0.csv", target="churned", test="s3://kzoo-test/tables/2024-1.csv", validation=0.2
    )
    same(data, kzoo.load_data("2024-0.csv", target="churned", test="2024-1.csv", validation=0.2))
