"""Open an exported model of an earlier day where NumPy and ONNX Runtime are alone, and compare what it answers.

pip install numpy onnxruntime && pip install --no-deps . && python .ci/light.py
"""

import importlib.util
import json
import tempfile
import zipfile
from pathlib import Path

import kzoo.runtime

HEAVY = [
    name for name in ("keras", "tensorflow", "pandas", "sklearn") if importlib.util.find_spec(name)
]
assert not HEAVY, f"installed, so that nothing is shown: {', '.join(HEAVY)}"

golden = Path(__file__).parents[1] / "tests" / "golden" / "table"
with tempfile.TemporaryDirectory() as folder:
    with zipfile.ZipFile(golden / "made.zip") as archive:
        archive.extractall(folder)
    (manifest,) = Path(folder).rglob("kzoo.json")
    answers = kzoo.runtime.load(manifest.parent, "onnx").predict(golden / "new.csv")
expected = json.loads((golden / "expected.json").read_text(encoding="utf-8"))["export onnx"]
assert answers.labels == expected["labels"], (answers.labels, expected)
print(
    f"kzoo {kzoo.__version__} from {Path(kzoo.__file__).parent}: {', '.join(answers.labels)}, as ever"
)
