"""A model is pickled by the path of its export, and opened where it is unpickled: in Dask's `map_partitions` too."""

import json
import pickle
import shutil
import subprocess
import sys
from importlib.util import find_spec

import library
import numpy as np
import pytest

import kzoo
import kzoo.runtime
from kzoo.runtime.model import Model

READ = """
import json, pickle, sys
model = pickle.loads(sys.stdin.buffer.read())
again = pickle.loads(pickle.dumps(model))
x = model.tensor(json.loads(sys.argv[1])).x
heavy = [name for name in ("tensorflow", "keras", "pandas", "sklearn") if name in sys.modules]
print(json.dumps([again is model, heavy, model.predict(x).values.tolist()]))
"""


def test_another_process_opens_the_export_once_and_imports_no_keras(values, sources):
    model = kzoo.runtime.load(values.exported, threads=1)
    x = np.zeros((3, *model.shape), np.float32)
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(x.tolist())],
        input=pickle.dumps(model),
        capture_output=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    is_same, heavy, predicted = json.loads(done.stdout)
    assert is_same
    assert heavy == []
    np.testing.assert_allclose(predicted, model.predict(x).values, rtol=1e-5)


def test_a_changed_or_missing_export_is_refused(values, tmp_path):
    folder = library.copied(values.exported, tmp_path / "export")
    pickled = pickle.dumps(kzoo.runtime.load(folder))
    manifest = kzoo.ExportedModel(folder).manifest
    type(manifest)(**{**manifest.__dict__, "author": "somebody else"}).write(folder)
    with pytest.raises(kzoo.KzooError, match=r"was changed since .*kzoo\.runtime\.load"):
        pickle.loads(pickled)
    shutil.rmtree(folder)
    with pytest.raises(kzoo.KzooError, match="does not exist"):
        pickle.loads(pickled)


def test_a_model_that_was_not_loaded_is_not_pickled(values):
    manifest = kzoo.ExportedModel(values.exported).manifest
    model = Model(manifest, "onnx", lambda x: x)
    with pytest.raises(kzoo.KzooError, match=r"Open its folder with that|kzoo\.runtime\.load"):
        pickle.dumps(model)


@pytest.mark.skipif(find_spec("dask") is None, reason="Dask is not installed")
def test_dask_predicts_the_partitions_of_a_table(rows, sources):
    import pandas as pd
    from dask import dataframe

    model = kzoo.runtime.load(rows.exported, threads=1)
    table = pd.read_csv(next(sources.glob("*custom*.csv")), dtype=str)
    expected = model.predict(table).to_frame()
    parts = dataframe.from_pandas(table, npartitions=3, sort=False)
    scores = parts.map_partitions(
        lambda part: model.predict(part).to_frame(), meta=expected.head(0)
    ).compute(scheduler="processes")
    columns = [name for name in expected if name != "input"]
    pd.testing.assert_frame_equal(
        scores[columns].reset_index(drop=True), expected[columns], check_exact=False, rtol=1e-5
    )
