"""The commands and the program of docs/how_to/score_many_rows.md, with a Dask cluster on this machine."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from pages import ROOT, blocks, lines

PAGE = ROOT / "docs" / "how_to" / "score_many_rows.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not installed"),
]


def customers(rows, seed):
    draw = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"age": draw.integers(18, 80, rows), "plan": draw.choice(["basic", "gold"], rows)}
    )
    return table.assign(id=[f"c{seed}-{n}" for n in range(rows)])


def test_the_page_runs(tmp_path):
    from distributed import LocalCluster

    train = customers(200, 0).drop(columns="id")
    train.assign(churned=np.where(train.age > 45, "yes", "no")).to_csv(
        tmp_path / "churn.csv", index=False
    )
    (tmp_path / "customers").mkdir()
    for seed in (1, 2, 3):
        customers(40, seed).to_csv(tmp_path / "customers" / f"{seed}.csv", index=False)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr[-3000:]}"

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        stands_for = {
            "s3://bucket/customers": "customers",
            "s3://bucket/scores": "by_dask",
            "tcp://10.0.0.1:8786": cluster.scheduler_address,
        }
        for block in blocks(PAGE):
            if block.language == "python":
                run("-c", block.text)
            for line in lines(block) if block.language == "sh" else ():
                words = [stands_for.get(word, word) for word in line.split()]
                if words[0] == "kzoo":
                    shorter = ["--max-steps", "20"] if words[1] == "train" else []
                    run("-m", "kzoo", *words[1:], *shorter)
    scores = [pd.read_csv(file) for file in sorted((tmp_path / "scores").glob("*.csv"))]
    assert [len(part) for part in scores] == [40, 40, 40]
    local = pd.concat(scores).set_index("id")
    by_program = pd.read_parquet(tmp_path / "scored").set_index("id")
    np.testing.assert_allclose(by_program["p_yes"], local.loc[by_program.index, "p_yes"], rtol=1e-4)
    by_dask = sorted((tmp_path / "by_dask").glob("*.csv"))
    assert [file.name for file in by_dask] == ["1.csv", "2.csv", "3.csv"]
    parts = pd.concat(map(pd.read_csv, by_dask))
    np.testing.assert_allclose(parts["p_yes"], local["p_yes"], rtol=1e-4)
