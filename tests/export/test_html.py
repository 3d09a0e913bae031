"""The page of an exported model: it predicts what Python predicts, asks nobody, and holds no row of the data."""

import base64
import hashlib
import io
import json
import re
import shutil
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread
from types import SimpleNamespace

import hard_cells
import numpy as np
import pytest
from hostile_names import NAMES as HOSTILE
from made_series import OPTIONS, long_table
from messages import assert_mentions, refuses
from page_visit import Visit, browsing, text
from small_runs import export, fit

import kzoo
import kzoo.runtime
from kzoo.export.formats import html
from kzoo.export.formats.html import bundle, description
from kzoo.export.program.steps import Program
from kzoo.inference.encode import predictions_of
from kzoo.inference.kinds.image.decode import decode
from kzoo.inference.kinds.rows.texts import hash_texts
from kzoo.inference.kinds.text.inference import AsTexts
from kzoo.inference.kinds.text.inference import read as read_texts
from kzoo.inference.kinds.text.tokenizer import Tokenizer
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.problems.kinds import kind
from kzoo.problems.tasks import Target, problem
from kzoo.serve import model_facts
from kzoo.utils.errors import KzooError

ASK = """async ([cases]) => {
  const { predict } = kzooEngine.createModel(kzooParts.stored, kzooParts.weights);
  const answers = [];
  for (const { input, options } of cases) {
    if (input.base64) input.bytes = kzooEngine.bytesOf(input.base64);
    try {
      answers.push(await predict(input, { top: 20, confidence: null, minimum: 0, ...options }));
    } catch (error) {
      answers.push(error instanceof kzooEngine.ModelError ? { error: error.message } : { fault: error.stack });
    }
  }
  return answers;
}"""
AUTHOR = "Ada L., ada at example.org"
OF_STEPS = """([model, outputs, options]) => outputs.map((row, index) =>
  kzooEngine.responseOf(model, kzooEngine.predictionOf(model, row, options), { top: 20, ...options }, index))"""


@pytest.fixture(scope="module")
def pages(home, warm_python, tmp_path_factory):
    """Two exports of the same table: of classes and of values."""
    folder = tmp_path_factory.mktemp("html")
    cells, classes, values = hard_cells.table()
    exports = {}
    targets = {"classes": list(classes), "values": [f"{value:.3f}" for value in values]}
    for name, target in targets.items():
        file = folder / f"{name}.csv"
        shown = [value.replace(".", ",") for value in target] if name == "values" else target
        file.write_text(hard_cells.csv(cells | {"out": shown}), "utf-8")
        options = (
            dict(calibration=0.2, postprocess="temperature_scaling") if name == "classes" else {}
        )
        run = fit(
            "tabular_fnn",
            file,
            folder / f"run_{name}",
            target="out",
            units=(8,),
            epochs=3,
            **options,
        )
        formats = ["onnx", "html", "html_folder"]
        exports[name] = export(warm_python, run, folder / name, formats, author=AUTHOR)
    return exports


@pytest.fixture(scope="module")
def chromium():
    with browsing() as browser:
        yield browser


@pytest.fixture
def visit(chromium):
    """Return a function that opens an exported page in a browser without network, by its language and other options."""
    contexts = []

    def open_page(exported, **options):
        context = chromium.new_context(offline=True, **{"locale": "en-US"} | options)
        contexts.append(context)
        tab = Visit(context.new_page(), "file:")
        tab.page.goto((exported.path / "html" / "model.html").as_uri())
        tab.page.wait_for_selector(".ask")
        return tab

    yield open_page
    for context in contexts:
        context.close()


def source(exported):
    return (exported.path / "html" / "model.html").read_text("utf-8")


def model_of(exported):
    return json.loads(re.search(r'<script id="model"[^>]*>(.*?)</script>', source(exported))[1])


def asked(model, given, options):
    """Return what the server sends for an input: predictions, promise and notes, or the error."""
    asked_options = PredictionOptions.read(
        {
            "confidence": options.get("confidence"),
            "min_probability": options.get("minimum") or None,
        }
    )
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        try:
            model.check_options(asked_options)
            encoded = model.receive(given)
            outputs = model.check(model.run(encoded.x))
            predictions = model.predictions(encoded, outputs, asked_options)
        except KzooError as error:
            return {"error": str(error)}
    answer = {"predictions": predictions.rows(top=20)}
    answer |= {"promise": predictions.promise} if predictions.promise else {}
    answer |= {"notes": [str(note.message) for note in notes]} if notes else {}
    return json.loads(json.dumps(answer))


def given_to_python(case):
    if "json" in case:
        return case["json"]
    return case["text"].encode() if "text" in case else base64.b64decode(case["base64"])


def differences(expected, actual, path=""):
    """Return where two answers differ: numbers by 1e-5 of their size, or 1e-6 of that of others.

    The width of an interval is rounded up.
    """
    if type(expected) in (int, float) and type(actual) in (int, float):
        size = 30 if "values" in path or "lower" in path or "upper" in path else 1
        same = abs(expected - actual) <= 1e-5 * abs(expected) + 1e-6 * size
        return [] if same else [(path, expected, actual)]
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        pairs = [(f"{path}.{key}", expected[key], actual[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = [
            (f"{path}[{i}]", *pair) for i, pair in enumerate(zip(expected, actual, strict=True))
        ]
    else:
        return [] if expected == actual else [(path, expected, actual)]
    return [line for where, one, other in pairs for line in differences(one, other, where)]


def assert_the_same(exported, tab, cases):
    actual = tab.page.evaluate(ASK, [cases])
    model = kzoo.runtime.load(exported, "onnx")
    for case, answer in zip(cases, actual, strict=True):
        answer.pop("csv", None)
        answer.pop("series", None)  # for the chart
        options = case.get("options", {})
        expected = asked(model, given_to_python(case["input"]), options)
        for row in expected.get("predictions", [])[100:]:  # a page shows no more in full
            if "classes" in row:
                row["classes"] = row["classes"][:1]
        assert not differences(expected, answer), case


@pytest.mark.parametrize("name", ["classes", "values"])
def test_cells_are_read_as_in_python(name, pages, visit):
    cases = [{"input": case} for case in hard_cells.inputs()]
    assert len(cases) > 700
    assert_the_same(pages[name], visit(pages[name]), cases)


@pytest.mark.parametrize("name", ["classes", "values"])
def test_files_are_read_as_in_python(name, pages, visit):
    contents = [base64.b64encode(content).decode() for content in hard_cells.files()]
    assert_the_same(pages[name], visit(pages[name]), [{"input": {"base64": c}} for c in contents])


def test_sets_intervals_and_unsure_rows_are_those_of_python(pages, visit):
    whole = hard_cells.csv(hard_cells.table()[0])
    levels = (None, "0.8", "0.9", "0.95", "0.99")  # the last needs more rows: the same line
    for name, minima in (("classes", (0, 0.8, 0.95)), ("values", (0,))):
        cases = [
            {"input": {"text": whole}, "options": {"confidence": level, "minimum": minimum}}
            for level in levels
            for minimum in minima
        ]
        assert_the_same(pages[name], visit(pages[name]), cases)


def test_the_first_screen_is_answered_and_follows_the_fields(pages, visit):
    tab = visit(pages["classes"])
    page = tab.page
    first = tab.answer()
    assert_mentions(page.locator("header.head").inner_text(), "Nothing leaves this page")
    assert_mentions(page.locator(".score").inner_text(), "always the most frequent")
    assert_mentions(page.locator(".limits").inner_text(), "Fairness")
    assert_mentions(page.locator("main").inner_text(), AUTHOR)
    assert AUTHOR in (pages["classes"].path / "README.md").read_text("utf-8")
    page.get_by_label("age").fill("79")
    page.get_by_label("income").focus()
    page.wait_for_function(
        "before => document.querySelector('.shown').innerText !== before", arg=first
    )
    moved = page.locator(".shown").inner_text()
    page.locator("input[type=range]").first.fill("30")
    page.wait_for_function(
        "before => document.querySelector('.shown').innerText !== before", arg=moved
    )
    assert page.get_by_label("age").input_value() == "30"
    page.get_by_label(text("confidenceLevel")).select_option("0.9")
    page.wait_for_function("() => document.querySelector('.shown').innerText.includes('90 % set')")
    tab.click("copyAnswer")
    page.wait_for_function(
        f"() => document.querySelector('.copy').innerText.includes({text('copied')!r})"
    )
    tab.behaved()


def test_limits_and_author_are_shown_in_both_languages(pages, visit):
    tab = visit(pages["classes"], locale="zh-CN")
    tab.answer()
    assert_mentions(
        tab.page.locator("main").inner_text(),
        text("exportedBy", "zh", author=AUTHOR, date=pages["classes"].manifest.created),
    )
    shown = tab.page.locator(".limits").inner_text()
    assert "2 个类别" in shown and "公平" in shown
    assert not re.search("[a-z]{4}", shown)
    tab.page.locator("#language").click()
    assert_mentions(tab.page.locator(".limits").inner_text(), "2 classes", "Fairness")


@pytest.mark.parametrize("name", ["classes", "values"])
def test_reasons_are_those_of_python(name, pages, visit):
    """Those of few columns, from all coalitions; those of many columns are sampled."""
    row = hard_cells.OBJECT | {"town": "Genf", "income": None}
    tab = visit(pages[name])
    actual = tab.page.evaluate(
        """async (row) => {
          const { explain } = kzooEngine.createModel(kzooParts.stored, kzooParts.weights);
          return explain({ json: [row] }, {});
        }""",
        row,
    )
    expected = kzoo.runtime.load(pages[name], "onnx").explain([row])
    assert (actual["method"], tuple(actual["limits"])) == (expected.method, expected.limits)
    (one,), (other,) = actual["rows"], expected.rows
    assert (one["output"], one["scale"]) == (other.output, other.scale)
    assert one["base"] == pytest.approx(other.base, abs=1e-4)
    amounts = {reason.name: (reason.value, reason.amount) for reason in other.reasons}
    for reason in one["reasons"]:
        value, amount = amounts[reason["name"]]
        assert reason["value"] == value
        assert reason["amount"] == pytest.approx(amount, abs=1e-4)
    tab.answer()
    tab.click("why")
    tab.page.wait_for_selector(".why .bars")
    assert_mentions(tab.page.locator(".why").inner_text(), "not the world")
    tab.behaved()


def test_sampled_reasons_add_up(pages, visit):
    sums = visit(pages["classes"]).page.evaluate(
        """async () => {
          const x = Float32Array.from({ length: 15 }, (_, i) => i);
          const columns = Array.from(x, (_, i) => ({ kind: "number", name: `c${i}`, median: 0, missing: false }));
          const reader = { columns, typical: new Array(15).fill(0) };
          const model = { reader, classes: [], levels: [], targets: ["y"] };
          const linear = (row) => row.reduce((sum, value, i) => sum + value * (i % 3), 0);
          const predict = (row) => ({ values: [linear(row) + row[3] * row[5]] });
          const explanation = await kzooEngine.explanationOf(model, predict, x, () => "", async () => {});
          const [row] = explanation.rows, amounts = {};
          for (const { name, amount } of row.reasons) amounts[name] = amount;
          const sum = Object.values(amounts).reduce((total, amount) => total + amount, 0);
          return [explanation.method, row.prediction - row.base, sum, amounts.c7, amounts.c5];
        }"""
    )
    assert sums[0].endswith("by sampling") and sums[1] == pytest.approx(sums[2])
    assert sums[3:] == [pytest.approx(7), pytest.approx(10 + 7.5, abs=1e-6)]  # 3 * 5 is shared


def test_a_category_can_be_typed(pages, visit):
    tab = visit(pages["classes"])
    tab.answer()
    tab.page.get_by_label("town", exact=True).select_option(label=text("other"))
    other = tab.page.get_by_label(text("otherValue", name="town"))
    for town, known in ((hard_cells.RARE, True), ("Neu-Ulm", False)):
        other.fill(town)
        tab.click()
        assert ("not seen in training" in tab.answer()) is not known
    expected = asked(
        kzoo.runtime.load(pages["classes"], "onnx"),
        {"town": hard_cells.RARE}
        | {name: cell for name, cell in hard_cells.OBJECT.items() if name != "town"},
        {},
    )
    case = {"input": {"json": [hard_cells.OBJECT | {"town": hard_cells.RARE}]}}
    (answer,) = tab.page.evaluate(ASK, [[case]])
    answer.pop("csv")
    assert not differences(expected, answer)


def test_a_file_is_predicted_in_a_worker_and_saved_for_a_spreadsheet(pages, visit, tmp_path):
    exported = pages["classes"]
    cells = {name: column[:50] for name, column in hard_cells.table()[0].items()}
    cells |= {"label": ["=1+1", "-5", '+"a"', "@x", "\tb"] * 10}
    file = tmp_path / "rows.csv"
    file.write_text(hard_cells.csv(cells), "utf-8")
    tab = visit(exported)
    tab.way("way_table")
    workers = []
    tab.page.on("worker", lambda worker: workers.append(worker.url))
    tab.page.locator("input[type=file]").set_input_files(file)
    assert_mentions(tab.answer(), "50 rows")
    assert len(workers) == 1 and workers[0].startswith("blob:")
    with tab.page.expect_download() as download:
        tab.click("download")
    model = kzoo.runtime.load(exported, "onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictions = model.predict(file, keep=list(cells))
    expected = io.StringIO()
    predictions.write_csv(expected, spreadsheet_safe=True)
    written = download.value.path().read_text("utf-8").splitlines()
    for line, other in zip(written, expected.getvalue().splitlines(), strict=True):
        *names, stays, leaves = line.rsplit(",", 2)
        *other_names, other_stays, other_leaves = other.rsplit(",", 2)
        assert names == other_names
        if line != written[0]:
            assert np.allclose(
                [float(stays), float(leaves)], [float(other_stays), float(other_leaves)], atol=1e-6
            )
    tab.behaved()


def test_a_long_file_shows_its_progress_and_can_be_cancelled(pages, visit, tmp_path):
    file = tmp_path / "long.csv"
    lines = hard_cells.csv(hard_cells.table()[0]).splitlines(keepends=True)
    file.write_text(lines[0] + "".join(lines[1:]) * 1500, "utf-8")
    tab = visit(pages["classes"])
    tab.answer()
    tab.way("way_table")
    tab.page.locator("input[type=file]").set_input_files(file)
    all_rows = f"{240 * 1500:,}"
    tab.page.wait_for_function(
        f"() => document.querySelector('form .busy').innerText.includes('of {all_rows} rows')"
    )
    tab.click("cancel")
    tab.page.get_by_role("alert").get_by_text(text("cancelled"), exact=True).wait_for()
    tab.behaved()


@pytest.mark.parametrize(
    ("width", "scheme", "language"),
    [(360, "dark", "zh-CN"), (1280, "light", "en-US"), (360, "light", "en-US")],
)
def test_the_page_is_accessible_and_fits(width, scheme, language, pages, visit):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for name in ("classes", "values"):
        tab = visit(
            pages[name],
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            locale=language,
        )
        tab.answer()
        violations = axe.run(tab.page).response["violations"]
        assert not [v["id"] for v in violations if v["impact"] in ("serious", "critical")]
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert (text("try", "zh") in tab.page.locator("h2").all_inner_texts()) == (
            language == "zh-CN"
        )


def test_the_keyboard_alone_predicts(pages, visit):
    tab = visit(pages["values"])
    before = tab.answer()
    page = tab.page
    page.get_by_label("age").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("79")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "before => document.querySelector('.shown').innerText !== before", arg=before
    )
    tab.behaved()


def test_the_policy_allows_this_file_alone(pages, visit):
    content = source(pages["classes"])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', content)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == "'none'"
    assert rules["worker-src"] == "blob:" and "unsafe" not in policy
    for element, rule in (("engine", "script-src"), ("app", "script-src"), ("style", "style-src")):
        pattern = (
            r"<style>(.*?)</style>"
            if element == "style"
            else rf'<script id="{element}">(.*?)</script>'
        )
        (inline,) = re.findall(pattern, content, re.S)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[rule]
        assert not re.search(
            r"\beval\(|new Function|innerHTML|https?://(?!www\.w3\.org/2000/svg)", inline
        )
    assert len(content) < 400_000
    tab = visit(pages["classes"])
    tab.answer()
    refused = tab.page.evaluate(
        "fetch('https://example.org/').then(() => 'sent', (error) => error.name)"
    )
    assert refused == "TypeError"
    assert [url for url in tab.requests if not url.startswith(("file:", "blob:"))] in (
        [],
        ["https://example.org/"],
    )


def test_no_rare_cell_is_in_the_file(pages):
    cells = hard_cells.table()[0]
    content = source(pages["classes"])
    stored = model_of(pages["classes"])
    (town,) = [c for c in stored["reader"]["columns"] if c["name"] == "town"]
    assert sorted(town["values"]) == ["Bern", "Genf", "Zürich"] and town["hashed"]["hashes"]
    rare = {
        cell
        for column in cells.values()
        for cell in set(column)
        if len(cell) >= 8 and column.count(cell) < 5
    }
    assert len(rare) > 500 and hard_cells.RARE in rare
    assert not [cell for cell in rare if cell in content]
    assert "/tmp" not in content and str(pages["classes"].path.parent) not in content


def test_without_counts_all_categories_are_hashed():
    column = {"kind": "category", "name": "town", "values": ["Bern", "1067.0"]}
    stored = description._stored_category(column, None)
    assert not stored["values"] and "Bern" not in json.dumps(stored)
    hashed = stored["hashed"]
    digests = base64.b64decode(hashed["hashes"])
    digest = hashlib.sha256(f"{hashed['salt']}1067".encode()).digest()[:6]
    (position,) = [i for i in range(0, len(digests), 6) if digests[i : i + 6] == digest]
    assert hashed["codes"][position // 6] == 2  # as 1067.0 is


def test_hostile_names_stay_text(warm_python, tmp_path, visit):
    rows = 120
    names = [name for name in HOSTILE if name.strip() == name]
    random = np.random.default_rng(0)
    cells = {name: random.normal(size=rows) for name in names[:20]}
    cells[names[20]] = [names[21 + i % (len(names) - 21)] for i in range(rows)]
    labels = [names[i % 3] for i in range(rows)]
    frame = pytest.importorskip("pandas").DataFrame(cells | {"</script>": labels})
    run = fit("tabular_fnn", frame, tmp_path / "r", target="</script>", units=(4,), epochs=1)
    exported = export(warm_python, run, tmp_path / "e", ["html"])
    tab = visit(exported)
    assert any(" ".join(name.split()) in " ".join(tab.answer().split()) for name in names[:3])
    tab.way("way_table")
    tab.click("example")
    tab.click()
    tab.answer()
    assert tab.page.evaluate("document.documentElement.dataset.ran") is None
    assert source(exported).count("</script>") == 5
    tab.behaved()


def network_of(task, outputs, *, labels=(), targets=(), steps=(), config=None):
    """Return what `description` needs of a network of two numbers."""
    tensors = {
        name: [SimpleNamespace(shape=(None, size))]
        for name, size in (("inputs", 2), ("outputs", outputs))
    }
    return SimpleNamespace(
        name="it",
        spec={"task": task},
        input_name="rows",
        output_name="values" if not problem(task).gives_probabilities else "probabilities",
        labels=list(labels),
        targets=list(targets),
        config=config or {},
        preprocessing=None,
        postprocessing=list(steps),
        about={"data": None, "statistics": {}},
        model=SimpleNamespace(**tensors),
    )


def step(name, stage, **learned):
    return {"name": name, "stage": stage, "rows": "validation", "learned": learned}


THREE, TWO, MANY = ("a", "b", "c"), ("no", "yes"), ("x", "y", "z")
COST = [[0, 5, 1], [1, 0, 2], [9, 1, 0]]
CURVE = [[-3.0, -1.0, 2.0], [-2.0, 0.0, 1.5]]
CASES = {
    "classes": ("tabular_classification", THREE, []),
    "temperature": (
        "tabular_classification",
        THREE,
        [step("temperature_scaling", "calibrate", temperature=1.7, labels=False)],
    ),
    "vector": (
        "tabular_classification",
        THREE,
        [step("vector_scaling", "calibrate", factors=[1.5, 0.7, 1.0], shifts=[0.2, -0.4, 0.0])],
    ),
    "cost": (
        "tabular_classification",
        THREE,
        [step("threshold", "decide", rule="cost", cost=COST, objective="expected_cost")],
    ),
    "ordinal": ("tabular_ordinal", THREE, []),
    "one output": (
        "tabular_classification",
        TWO,
        [step("temperature_scaling", "calibrate", temperature=0.6, labels=False)],
    ),
    "platt": (
        "tabular_classification",
        TWO,
        [step("platt_scaling", "calibrate", lines=[[0.3, 1.4]], labels=False)],
    ),
    "isotonic": (
        "tabular_classification",
        TWO,
        [step("isotonic_regression", "calibrate", functions=[CURVE], labels=False)],
    ),
    "threshold": (
        "tabular_classification",
        TWO,
        [
            step(
                "threshold",
                "decide",
                rule="threshold",
                positive="yes",
                threshold=0.23,
                objective="f1",
            )
        ],
    ),
    "labels": (
        "tabular_multilabel_classification",
        MANY,
        [
            step("temperature_scaling", "calibrate", temperature=1.7, labels=True),
            step(
                "label_thresholds",
                "decide",
                thresholds=[0.2, 0.5, 0.7],
                positives=[1, 1, 1],
                shared=[True] * 3,
            ),
        ],
    ),
    "values": ("tabular_regression", (), []),
    "counts": ("tabular_count", (), []),
    "quantiles": ("tabular_quantiles", (), []),
}


@pytest.mark.parametrize("case", CASES)
def test_tasks_and_steps_are_those_of_python(case, pages, visit):
    task, classes, steps = CASES[case]
    random = np.random.default_rng(0)
    config = {"quantiles": [0.1, 0.5, 0.9]} if case == "quantiles" else {}
    targets = [] if classes else ["load", "price"]
    logits = random.normal(scale=2, size=(60, len(classes) or 6))
    if case in ("classes", "temperature", "vector", "cost", "ordinal"):
        outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    elif classes == TWO:
        outputs = 1 / (1 + np.exp(-logits[:, :1]))
    elif case == "labels":
        outputs = 1 / (1 + np.exp(-logits))
    else:
        outputs = logits if case == "quantiles" else np.abs(logits[:, :2])
    outputs = outputs.astype(np.float32)
    network = network_of(
        task, outputs.shape[1], labels=classes, targets=targets, steps=steps, config=config
    )
    model = description.stored_model(network)
    expected = predictions_of(
        problem(task),
        Target(names=tuple(targets), classes=tuple(classes), config=config),
        outputs,
        {},
        Postprocessor.read(steps),
        logits=False,
    ).rows(top=20)
    options = {"confidence": None, "minimum": 0}
    actual = visit(pages["classes"]).page.evaluate(
        OF_STEPS, [model, outputs.astype(float).tolist(), options]
    )
    assert not differences(json.loads(json.dumps(expected)), actual)


TEXTS = (
    *("", "Hello, world!", "it's a dog's life — don't", "naïve café CAFÉ", "e\u0301te\u0301 É"),
    *(
        "很好吃 不错，真的",
        "日本語テキストです",
        "สวัสดีชาวโลก ภาษาไทย",
        "मैं हिन्दी बोलता हूँ",
        "한국어 텍스트",
    ),
    *(
        "😀😀 ok",
        "a b a b a b",
        "x" * 5000,
        "one two " * 300,
        "\u00a0\u2003tabs\tand\x1cfs",
        "İstanbul ΣΑΣ",
    ),
    *(
        "foo_bar 1,5 ½ Ⅷ ²",
        "rock’n’roll 'quoted'",
        "مرحبا بالعالم",
        "שלום עולם",
        "\U00020000\U0002a6d6 字",
    ),
    *("don't' 'a", "NA", " nan ", "123 4.5e6", "Ⅷ", "unseen entirely"),
)


def test_columns_of_texts_are_hashed_as_in_python(pages, visit):
    ids = visit(pages["classes"]).page.evaluate(
        "(texts) => texts.map((text) => kzooEngine.hashedIds(text, 4096, 24))", list(TEXTS)
    )
    expected = hash_texts(TEXTS, 4096, 24).astype(int).tolist()
    assert [row + [0] * (24 - len(row)) for row in ids] == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"level": "words"},
        {"level": "words", "ngrams": 2, "punctuation": False},
        {"level": "characters", "lowercase": False},
        {"level": "characters", "ngrams": 3},
    ],
)
def test_texts_are_encoded_as_in_python_without_their_words(settings, pages, visit):
    settings = {"lowercase": True, "punctuation": True, "ngrams": None} | settings
    tokens = [token for text in TEXTS[:-1] for token in Tokenizer(**settings).split(text)]
    runs = [
        f"{a}{'' if settings['level'] == 'characters' else ' '}{b}" for a, b in pairwise(tokens)
    ]
    vocabulary = list(dict.fromkeys(tokens[::2] + (runs[::3] if settings["ngrams"] else [])))
    reader = {"kind": "text", "length": 20, "vocabulary": vocabulary} | settings
    stored = description._stored_reader(reader, {}, None)
    if settings["level"] == "words":
        assert "hello" in vocabulary and "hello" not in json.dumps(stored)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        expected = read_texts(reader, AsTexts(TEXTS))[0]
    ids, lines = visit(pages["classes"]).page.evaluate(
        """([reader, texts]) => {
          const notes = [];
          return [Array.from(kzooEngine.encodeTexts(reader.texts, texts, notes)), notes];
        }""",
        [stored, list(TEXTS)],
    )
    assert np.array_equal(np.reshape(ids, expected.shape), expected)
    assert lines == [str(note.message) for note in notes]


def image_files():
    """Return the bytes of images of many sizes, types and modes."""
    from PIL import Image

    random = np.random.default_rng(0)
    for height, width in ((300, 400), (40, 30), (640, 200), (7, 9), (32, 32), (130, 65), (58, 29)):
        y, x = np.mgrid[0:height, 0:width]
        waves = [
            127 + 100 * np.sin(x / (7 + 5 * i) + i) * np.cos(y / (11 - 2 * i)) for i in range(4)
        ]
        noise = random.normal(0, 12, (height, width, 4))
        pixels = np.clip(np.stack(waves, -1) + noise, 0, 255).astype("uint8")
        colours = Image.fromarray(pixels[..., :3])
        rotated = Image.Exif()
        rotated[0x0112] = 6
        deep = (pixels[..., 0].astype("uint16") * 257).astype("uint16")
        for image, options in (
            (colours, {"format": "PNG"}),
            (colours, {"format": "JPEG", "quality": 92}),
            (colours, {"format": "JPEG", "quality": 95, "exif": rotated}),
            (colours, {"format": "WEBP", "lossless": True}),
            (colours, {"format": "BMP"}),
            (colours.convert("P"), {"format": "GIF"}),
            (colours.convert("L"), {"format": "PNG"}),
            (Image.fromarray(pixels), {"format": "PNG"}),  # with transparency
            (Image.fromarray(deep), {"format": "PNG"}),
        ):
            stream = io.BytesIO()
            image.save(stream, **options)
            yield stream.getvalue()


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1), (64, 48, 3)])
def test_image_files_become_the_pixels_of_pillow(shape, pages, visit):
    tab = visit(pages["classes"])
    files = list(image_files())
    made = tab.page.evaluate(
        """async ([files, shape]) => {
          const all = [];
          for (const file of files) {
            const blob = new Blob([kzooEngine.bytesOf(file)]);
            all.push(Array.from(await kzooEngine.pixelsOf(blob, shape)));
          }
          return all;
        }""",
        [[base64.b64encode(file).decode() for file in files], list(shape)],
    )
    for file, pixels in zip(files, made, strict=True):
        apart = np.abs(np.reshape(pixels, shape) - decode(file, shape).astype(float))
        assert apart.mean() <= 0.6 and apart.max() <= 4


def test_digits_are_drawn_and_read_from_files(digits_run, warm_python, tmp_path, visit):
    exported = export(warm_python, digits_run, tmp_path / "e", ["onnx", "html"])
    tab = visit(exported)
    tab.draw([[(0.5, 0.1), (0.5, 0.9)]])
    assert "%" in tab.answer()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).tolist()
    assert_the_same(exported, tab, [{"input": {"json": pixels}}])
    tab.way("way_choose")
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for file, content in zip(files, image_files(), strict=False):
        file.write_bytes(content)
    tab.page.locator("input[type=file]").set_input_files(files)
    shown = tab.answer()
    expected = kzoo.runtime.load(exported, "onnx").predict([str(file) for file in files])
    rows = [line for line in shown.split("\n") if "%" in line]
    assert [row.split()[0] for row in rows[-3:]] == expected.labels
    (tmp_path / "broken.png").write_bytes(b"no image")
    tab.page.locator("input[type=file]").set_input_files(tmp_path / "broken.png")
    assert_mentions(tab.error(), "broken.png")
    tab.behaved()


def test_texts_are_predicted_as_in_python(ngrams_run, warm_python, tmp_path, visit):
    exported = export(warm_python, ngrams_run, tmp_path / "e", ["onnx", "html"])
    tab = visit(exported)
    area = tab.page.get_by_label(text("sentence"))
    area.fill("good café")
    tab.click()
    assert "good" in tab.answer()
    table = 'text\nnot good\n很好吃\n"bad, naïve"\nunseen\nNA\n'
    cases = [
        {"json": ["good"]},
        {"json": ["不好吃", "", "nothing known"]},
        {"text": table},
        {"text": "note\ngood\n"},
    ]
    assert_the_same(exported, tab, [{"input": case} for case in cases])
    assert "naïve" not in source(exported)
    tab.behaved()


def series_cases(columns, steps):
    """Return tables of series, easy and hard, as the texts of CSV files."""
    random = np.random.default_rng(1)

    def table(names, count=1, length=steps, change=lambda rows: rows, separator=","):
        rows = [
            [f"s{number}", step, *(f"{value:.3f}" for value in random.normal(size=len(columns)))]
            for number in range(count)
            for step in range(length)
        ]
        head = ["sensor", "step", *columns]
        rows = change([[str(cell) for cell in row] for row in rows])
        kept = [head.index(name) for name in names]
        lines = [names, *([row[i] for i in kept] for row in rows)]
        return "\n".join(separator.join(line) for line in lines) + "\n"

    def cells(places):
        def change(rows):
            for row, column, cell in places:
                rows[row][column] = cell
            return rows

        return change

    whole = ["sensor", "step", *columns]
    last = len(columns) + 1
    comma = [(row, 2, f"{row},{row % 7}5") for row in range(steps)]
    yield table(whole)
    yield table(whole, 5)
    yield table(columns)
    yield table(["step", *columns])
    yield table(["sensor", *columns], 2)
    yield table(whole, 3, change=lambda rows: rows[::-1])
    yield table(whole, 4, change=lambda rows: [rows[i] for i in random.permutation(len(rows))])
    yield table(whole, length=steps - 3)
    yield table(whole, 2, length=steps + 4)
    yield table(whole, 3, length=1)
    yield table(whole[:-1])
    yield table([*whole[:-1], "step"])
    yield table(whole, 2, separator=";")
    yield table(whole, 2, separator=";", change=cells(comma))
    yield table(whole, separator="\t", change=cells([(1, 2, "1.234,5"), (2, 2, "7,25")]))
    for places in (
        [(0, 2, "")],
        [(0, 2, "NA"), (1, 2, "nan"), (5, last, "")],
        [(row, 2, "") for row in range(steps)],
        [(row, last, "word") for row in range(steps)],
        [(3, 2, "word"), (4, last, "12 apples")],
        [(row, last, "x") for row in range(1, 8)],
        [(2, 2, "1e39")],
        [(2, 2, "-1e-50"), (3, 2, "$5"), (4, 2, "12 %"), (5, 2, "(3)"), (6, 2, "1,234.5")],
        [(4, 0, "")],
        [(4, 0, " s0 "), (5, 0, "NA")],
        [(4, 0, " s0 ")],
        [(4, 0, "S0")],
        [(4, 1, "3")],
        [(4, 1, "3.0")],
        [(4, 1, "")],
        [(4, 1, "later")],
        [(4, 1, "3.5"), (5, 1, "1e2")],
        [(steps - 1, 1, "99")],
        [(row, 1, f"step {row}") for row in range(steps)],
        [(row, 1, "") for row in range(steps)],
    ):
        yield table(whole, 3, change=cells(places))
    yield table(["step", *columns], 2)
    yield ",".join(whole) + "\n"
    yield ""


@pytest.mark.parametrize("case", ["padded", "even", "segments", "rocket"])
def test_labelled_series_are_predicted_as_in_python(case, warm_python, tmp_path, visit):
    lengths = (16, 9, 12) if case == "padded" else (24,)
    frame = long_table(lengths=lengths).rename(columns={"x0": "first value"})
    options = {"segment": 12, "stride": 6} if case == "segments" else {}
    small = {} if case == "rocket" else {"units": (4,), "epochs": 1}
    if case == "rocket":
        frame = frame.drop(columns="first value")
    run = fit(
        "series_rocket" if case == "rocket" else "series_gru",
        frame,
        tmp_path / "run",
        seed=0,
        **OPTIONS,
        **options,
        **small,
    )
    exported = export(warm_python, run, tmp_path / "e", ["onnx", "html"])
    tab = visit(exported)
    shown = tab.answer()
    assert "%" in shown and "time column" not in shown
    assert tab.page.locator(".chart svg").count() == len(run.preprocessing["columns"])
    tab.page.set_viewport_size({"width": 360, "height": 800})
    tab.page.wait_for_function("() => document.querySelector('.chart svg').clientWidth < 360")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    reader = model_of(exported)["reader"]["series"]
    texts = list(series_cases(reader["columns"], 12 if case == "segments" else reader["steps"]))
    assert_the_same(exported, tab, [{"input": {"text": text}} for text in texts])
    written = set(source(exported).replace('"', " ").replace(",", " ").split())
    cells = {f"{value:.4f}" for value in frame["x1"]} | {str(value) for value in frame["x1"]}
    assert len(cells & written) < 3  # no row of the data; single numbers are equal by chance
    # at full width: the line beside the buttons of a narrow page moves them while a busy machine clicks
    tab.page.set_viewport_size({"width": 1280, "height": 800})
    tab.page.locator("textarea").fill(texts[1])
    tab.click()
    assert_mentions(tab.answer(), "5 series")
    if case == "rocket":  # numbers alone
        numbers = [f"{value:.2f}" for value in np.linspace(-1, 1, reader["steps"])]
        table = "\n".join(["x1", *numbers]) + "\n"
        ways = [", ".join(numbers), "\n".join(numbers), ",".join(numbers)]
        ways += [" ".join(numbers).replace(".", ","), "; ".join(numbers)]
        same = tab.page.evaluate(ASK, [[{"input": {"text": way}} for way in (table, *ways)]])
        assert not [a for a in same if a.get("predictions") != same[0]["predictions"]]
    tab.behaved()


def test_what_is_not_computed_is_refused(monkeypatch, tmp_path):
    with refuses("language models", "onnx"):
        kzoo.export(kzoo.build("char_gpt"), tmp_path / "e", formats=["html"], progress=False)
    with refuses("series as arrays", "series_id="):
        network = network_of("series_classification", 2, labels=TWO)
        network.input_name = "series"
        description.stored_model(network)
    with monkeypatch.context() as patch, refuses("target_range", "onnx"):
        patch.setattr(description, "STEPS", ())  # as with the step of another package
        steps = [step("target_range", "range")]
        description.stored_model(network_of("tabular_regression", 1, steps=steps))
    sounds = {"kind": "sound", "name": "noise"}
    with refuses("'noise'", "sound", "drop="):
        description._stored_reader({"kind": "table", "columns": [sounds]}, {}, None)
    with refuses("pieces of words", "onnx"):
        description._stored_reader({"kind": "text", "level": "pieces", "vocabulary": []}, {}, None)
    network = network_of("image_classification", 3, labels=THREE)
    network.preprocessing = {"kind": "image", "shape": [8, 8, 4], "resize": "cover"}
    with refuses("transparency", "3 channels"):
        description.stored_model(network)
    with refuses("'since'", "Europe/Berlin"):
        description._stored_reader(
            {"kind": "table", "columns": [], "zones": {"since": "Europe/Berlin"}}, {}, None
        )
    monkeypatch.setattr(html, "_MOST_BYTES", 100)  # in this process only: the worker has its own
    monkeypatch.setattr(bundle, "page", lambda *parts: "x" * 101)
    monkeypatch.setattr(description, "page_facts", lambda *parts: {})
    program = Program(steps=[], sizes=[2, 1], constants={}, input=0, output=1)
    network = network_of("tabular_regression", 1)
    network.program = program
    with refuses("MB", "tabular_fnn"):
        html.write(network, tmp_path / "model.html", None)


def test_a_model_of_arrays_takes_numbers(warm_python, tmp_path, visit):
    exported = export(warm_python, kzoo.build("iris_fnn", seed=0), tmp_path / "e", ["onnx", "html"])
    tab = visit(exported)
    tab.answer()
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
    assert_the_same(exported, tab, [{"input": {"json": rows}}])
    tab.behaved()


def test_the_script_is_checked_by_node(pages, monkeypatch):
    if shutil.which("node"):
        entry = pages["values"].exports["html"]
        assert entry["status"] == "ok" and entry["difference"] <= 1e-5
        assert_mentions(entry["runtime"], "node")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert_mentions(html.FORMAT.cannot_run(), "Node.js", "browser")
    with pytest.raises(KzooError):
        html.Session(pages["values"].path / "html" / "model.html", name="html")
    statuses = {key: entry["status"] for key, entry in pages["values"].check().items()}
    assert statuses["html"] == "unchecked"  # code of others is not run


def test_an_example_has_the_most_frequent_categories(home, warm_python, visit, tmp_path):
    file = tmp_path / "colours.csv"
    colours = ["blue", "red", "red", "red", "green", "red"] * 20
    rows = [f"{i},{colour},{'yes' if i % 3 else 'no'}" for i, colour in enumerate(colours)]
    file.write_text("\n".join(["number,colour,out", *rows]), "utf-8")
    run = fit("tabular_fnn", file, tmp_path / "run", target="out", units=(4,), epochs=1)
    exported = export(warm_python, run, tmp_path / "e", ["onnx", "html"])
    page = visit(exported).page
    assert page.get_by_label("colour", exact=True).input_value() == "red"
    manifest = SimpleNamespace(
        preprocessing=run.preprocessing, typical=kzoo.runtime.load(exported.path)._manifest.typical
    )
    (_, colour) = model_facts._form(manifest, kind("rows"))["form"]["columns"]
    assert colour["default"] == "red" and list(colour["values"]) == ["blue", "green", "red"]


@pytest.fixture(scope="module")
def site(pages):
    """The address of a web server for files, with the folders of both exports, and the requests to it."""
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format, *values):
            requests.append(self.path)

    exports = pages["classes"].path.parent
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=exports)) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
        server.shutdown()


def frame_of(exported):
    """Return the line of an export that shows its page in another."""
    return exported.exports["html_folder"]["note"].partition(": ")[2]


@pytest.mark.parametrize("name", ["classes", "values"])
def test_a_folder_on_a_web_server_is_the_same_page(name, pages, site, chromium, visit, tmp_path):
    url, requests = site
    one = visit(pages[name])
    with chromium.new_context(locale="en-US") as context:
        tab = Visit(context.new_page(), url)
        tab.page.goto(f"{url}/{name}/html_folder/index.html")
        tab.page.wait_for_selector(".ask")
        assert tab.answer() == one.answer()
        cases = [{"input": {"text": hard_cells.csv(hard_cells.table()[0])}}]
        cases += [{"input": case} for case in hard_cells.inputs()[::20]]
        cases += [{"input": {"base64": base64.b64encode(c).decode()}} for c in hard_cells.files()]
        assert tab.page.evaluate(ASK, [cases]) == one.page.evaluate(ASK, [cases])
        shown = []
        for visited in (one, tab):
            visited.way("way_table")
            file = tmp_path / "rows.csv"
            file.write_text(hard_cells.csv(hard_cells.table()[0]), "utf-8")
            visited.page.locator("input[type=file]").set_input_files(file)
            visited.page.locator(".shown").get_by_text("240 rows").first.wait_for()
            shown.append(visited.answer())
        assert shown[0] == shown[1]
        assert tab.page.evaluate("typeof Worker") == "function"
        one.behaved(), tab.behaved()
        assert tab.requests and all(
            request.startswith(f"{url}/{name}/") for request in tab.requests
        )
        assert requests.count(f"/{name}/html_folder/engine.js") in (
            1,
            2,
        )  # that of the worker may be stored


def test_the_line_of_a_folder_shows_its_page_in_another(pages, site, chromium):
    url, _ = site
    exported = pages["classes"]
    (exported.path / "host.html").write_text(f"<!doctype html><body>{frame_of(exported)}</body>")
    with chromium.new_context(locale="en-US") as context:
        page = context.new_page()
        page.goto(f"{url}/classes/host.html")
        shown = page.frame_locator("iframe").locator(".shown")
        shown.get_by_text("%").first.wait_for()


@pytest.mark.parametrize(
    ("file", "flags", "shown"),
    [
        ("html/model.html", "allow-scripts allow-forms", "%"),
        ("html/model.html", "allow-scripts", "noForms"),
        ("html_folder/index.html", "allow-scripts allow-forms allow-same-origin", "%"),
        ("html_folder/index.html", "allow-scripts allow-forms", "filesMissing"),
    ],
)
def test_a_sandbox_has_an_answer_or_a_line(file, flags, shown, pages, site, chromium):
    url, _ = site
    host = pages["classes"].path / "sandbox.html"
    host.write_text(f'<!doctype html><iframe sandbox="{flags}" src="{file}"></iframe>')
    with chromium.new_context(locale="en-US") as context:
        page = context.new_page()
        page.goto(f"{url}/classes/sandbox.html")
        frame = page.frame_locator("iframe")
        if shown == "%":
            frame.locator(".shown").get_by_text("%").first.wait_for()
        else:
            frame.get_by_text(text(shown)).wait_for()


def test_the_policy_of_a_folder_allows_its_own_files(pages, site, chromium):
    folder = pages["classes"].path / "html_folder"
    content = (folder / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', content)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    own = {name for name, source in rules.items() if source == "'self'"}
    assert own == {"script-src", "style-src", "worker-src", "connect-src"}
    assert rules["default-src"] == "'none'" and "unsafe" not in policy
    assert not re.search(r"<script>|<style|(?:src|href)=\"(?![\w#.]+\")", content)
    url, _ = site
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{url}/classes/html_folder/index.html")
        page.wait_for_selector(".ask")
        assert page.evaluate(
            """async () => {
              const caught = [];
              addEventListener("securitypolicyviolation", (event) => caught.push(event.effectiveDirective));
              await fetch("http://127.0.0.1:9/").catch(() => {});
              const script = document.createElement("script");
              script.textContent = "globalThis.ran = true";
              document.body.append(script);
              await new Promise((resume) => setTimeout(resume, 100));
              return [caught.sort(), globalThis.ran ?? false];
            }"""
        ) == [["connect-src", "script-src-elem"], False]


def test_a_folder_without_a_file_or_a_server_says_so(pages, site, chromium, tmp_path):
    url, _ = site
    folder = pages["classes"].path / "html_folder"
    shutil.copytree(folder, folder.with_name("part"))
    (folder.with_name("part") / "weights.bin").unlink()
    for address in (f"{url}/classes/part/index.html", (folder / "index.html").as_uri()):
        with chromium.new_context(locale="en-US") as context:
            page = context.new_page()
            page.goto(address)
            page.get_by_text(text("filesMissing")).wait_for()
    shutil.rmtree(folder.with_name("part"))


def test_a_folder_is_checked_by_node(pages):
    for exported in pages.values():
        one, other = (exported.exports[key] for key in ("html", "html_folder"))
        assert other["bytes"] < one["bytes"] and other["status"] == one["status"]
        if shutil.which("node"):
            assert other["difference"] == one["difference"] and other["status"] == "ok"
        content = b"".join(file.read_bytes() for file in (exported.path / "html_folder").iterdir())
        assert hard_cells.RARE.encode() not in content
