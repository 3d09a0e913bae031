"""Forecasts of exported pages: of one series and of many, they are those of Python, or the same line."""

import csv
import io
import json
import re
import warnings
from dataclasses import replace
from types import SimpleNamespace

import hard_series
import node_page
import numpy as np
import pandas as pd
import pytest
from hard_series import TIMES
from messages import refuses
from page_visit import Visit, browsing
from page_visit import text as text_of
from small_runs import export, fit

import kzoo
import kzoo.runtime
from kzoo.export.formats.html import description
from kzoo.inference.encode import encode_named, with_times
from kzoo.inference.kinds.labelled_series.inference import received as received_labelled
from kzoo.inference.kinds.series.inference import received
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.predictions import Predictions
from kzoo.utils.errors import KzooError

HORIZON = 6
READ = """
answerAll(given.texts, (text) => {
  const notes = [], table = engine.readTable(text.replaceAll("\\r\\n", "\\n"), "the table", notes);
  const { x, write, times, historyTimes, ...rest } = engine.encodeForecasts(given.reader, table, notes);
  return { x: Array.from(x), ...rest, times: times.map(write), historyTimes: historyTimes.map(write), notes };
});
"""


def differences(expected, actual, path=""):
    """Return where two answers differ: numbers by 1e-5 of their size or 1e-6, ends of bands by that of their widths."""
    if type(expected) in (int, float) and type(actual) in (int, float):
        least = 3e-5 if any(part in path for part in ("lower", "upper", "csv")) else 1e-6
        same = abs(expected - actual) <= max(1e-5 * abs(expected), least)
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


def noted(function):
    """Return the answer of a function with the `notes` that it gives, or the line of its error."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        try:
            answer = function()
        except KzooError as error:
            return {"error": str(error)}
    answer = json.loads(json.dumps(answer))
    return answer | {"notes": [str(note.message) for note in notes]}


# Readers: every step and format of times, without a network


def frame(step, form, columns=("load",), count=260, change=None, start=None):
    """Return a table of one series for training."""
    table = hard_series.series(step, count, columns, form=form, start=start)
    rows = [row for i, row in enumerate(table.rows) if change is None or change(i)]
    made = pd.DataFrame(rows, columns=table.names)
    return made.astype(dict.fromkeys(columns, float))


def numbered(every):
    table = frame("days", "iso")
    return table.assign(time=[every * i + 5 for i in range(len(table))])


def untimed():
    return frame("days", "iso").drop(columns="time")


ONE = {
    "hours": lambda: frame("hours", "iso", ("load", "temp")),
    "two targets": lambda: frame("hours", "T", ("load", "price", "temp")),
    "quarters of an hour": lambda: frame(900, "dotted"),
    "days": lambda: frame("days", "days"),
    "digits": lambda: frame("days", "digits"),
    "weeks": lambda: frame(7 * 86_400, "day first"),
    "workdays": lambda: frame("workdays", "days"),
    "five of seven": lambda: frame("days", "days", count=400, change=lambda i: i % 7 not in (1, 2)),
    "months": lambda: frame("months", "dotted"),
    "months in digits": lambda: frame("months", "months"),
    "quarters": lambda: frame("months", "quarter", count=400, change=lambda i: i % 3 == 0),
    "UTC": lambda: frame("hours", "utc"),
    "winter": lambda: frame("days", "winter"),
    "two offsets": lambda: frame("hours", "two offsets"),
    "numbers": lambda: numbered(0.5),
    "uneven": lambda: frame(
        "hours", "iso", count=900, change=lambda i: i % 11 not in (2, 3, 7) and i % 5
    ),
    "no times": untimed,
    "month first": lambda: frame(86_400, "month first"),
}


def reader_of(data, horizon):
    """Return the stored reader of a data set, and what a page stores of it."""
    outputs = [SimpleNamespace(shape=(None, horizon, 1))]
    network = SimpleNamespace(
        model=SimpleNamespace(outputs=outputs), about={"data": {"train": 1000}, "statistics": {}}
    )
    reader = json.loads(json.dumps(data.preprocessing))
    stored = description._forecast_reader(reader, network, None)["forecasts"]
    return reader | {"ranges": stored["ranges"]}, json.loads(json.dumps(stored))


def step_of(*, step, every, **others):
    """Return the step of tables of `hard_series` for a calendar."""
    if step in ("seconds", "days"):
        return int(every * (1 if step == "seconds" else 86_400))
    return {"business days": "workdays", "months": "months"}.get(step, "hours")


def read_by_python(reader, text, horizon):
    encoded = encode_named(reader, received(reader, text.encode()))
    shape = (len(encoded.x), horizon, reader["outputs"])
    answer = Predictions(values=np.zeros(shape, np.float32), inputs=encoded.names)
    answer = with_times(reader, encoded.raw, encoded.x, answer)
    return {
        "x": encoded.x.ravel().tolist(),
        "names": list(encoded.names),
        "ids": [[name, list(cells)] for name, cells in answer.ids.items()],
        "scales": answer.error_scale.tolist(),
        "history": answer.history.tolist(),
        "times": [answer.write_times(times) for times in answer.times],
        "historyTimes": [answer.write_times(times) for times in answer.history_times],
    }


def assert_read_alike(reader, stored, texts, horizon):
    actual = node_page.run(READ, {"reader": stored, "texts": texts})
    expected = [noted(lambda text=text: read_by_python(reader, text, horizon)) for text in texts]
    for text, one, other in zip(texts, expected, actual, strict=True):
        assert not differences(one, other), text[:500]
    return expected


@pytest.mark.parametrize("case", ONE)
def test_one_series_is_read_as_in_python(case):
    steps = 24
    preset = kzoo.get_preset("series_linear")
    table = ONE[case]()
    targets = ["load", "price"] if "price" in table else "load"
    settings = preset.config | {"input_shape": (steps, 1), "horizon": HORIZON}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = kzoo.load_data(table, preset=replace(preset, config=settings), target=targets)
    reader, stored = reader_of(data, HORIZON)
    columns = reader["columns"]
    own = "hours" if stored["calendar"] is None else step_of(**stored["calendar"])
    texts = [
        text
        for step, form, each in ((own, "iso", 1), (own, "dotted", 3), ("hours", "utc", 5))
        for text in list(hard_series.one_series(step, steps, columns, form=form))[::each]
    ]
    if "time" in table:  # those of the training
        table["time"] = table["time"].astype(str)
        own = hard_series.Table(table.columns, table.to_numpy().tolist())
        count = len(own.rows)
        kept = [range(count), range(30), range(200, count), range(count - 1, 100, -1)]
        kept += [[row for row in range(count) if (count - row) % gap] for gap in (5, 9, 13)]
        texts += [own.take(list(rows)).text() for rows in kept]
    answers = assert_read_alike(reader, stored, texts, HORIZON)
    assert sum("error" not in answer for answer in answers) >= 5


HOLIDAYS = ["none", "none", "none", "Easter", "none", "Christmas", "none"]
MANY = {
    "days": {},
    "holidays": dict(promo=lambda i: HOLIDAYS[i % 7]),
    "prices": dict(promo=lambda i: 10 + i // 9),
    "hours": dict(step="hours", form="iso"),
    "months": dict(step="months", form="months"),
    "workdays": dict(step="workdays", form="day first"),
    "winter": dict(step="hours", form="winter"),
}


@pytest.mark.parametrize("case", MANY)
def test_many_series_are_read_as_in_python(case):
    steps = 16
    options = {"step": "days", "form": "days"} | MANY[case]
    step = options.pop("step")
    made = hard_series.panel(step, (90, 80, 70, 60), 0, **options)
    table = pd.DataFrame(made.rows, columns=made.names).astype({"sales": float})
    if case != "holidays":
        table["promo"] = table["promo"].astype(int)
    preset = kzoo.get_preset("series_linear")
    settings = preset.config | {"input_shape": (steps, 1), "horizon": HORIZON}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = kzoo.load_data(
            table,
            preset=replace(preset, config=settings),
            target="sales",
            time="day",
            series_id="shop",
            known_covariates="promo",
            static_covariates="region",
        )
    reader, stored = reader_of(data, HORIZON)
    assert "north" not in json.dumps(stored) and "shop 1" not in json.dumps(stored)
    texts = list(hard_series.many_series(steps, HORIZON, step=step, **options))
    answers = assert_read_alike(reader, stored, texts, HORIZON)
    assert sum("error" not in answer for answer in answers) > len(texts) / 4


# Exports


def rare(table):
    """Return a table in which the region of a shop, and the shop, are names that must not be in a page."""
    region = {"shop 0": "Hinterzarten"}
    return table.assign(
        region=[
            region.get(shop, cell)
            for shop, cell in zip(table["shop"], table["region"], strict=True)
        ],
        shop=["Frau Müller-Lüdenscheidt" if shop == "shop 1" else shop for shop in table["shop"]],
    )


def sales(shops, count, whole=False):
    made = hard_series.panel("days", [count + 2 * i for i in range(shops)], 0)
    table = pd.DataFrame(made.rows, columns=made.names).astype({"sales": float, "promo": int})
    size = 1 + table["shop"].str.extract(r"(\d+)")[0].astype(int)
    table["sales"] = (table["sales"] * size).round(0 if whole else 2)
    return table


PANEL = dict(
    target="sales",
    time="day",
    series_id="shop",
    known_covariates="promo",
    static_covariates="region",
)
QUANTILES = [0.1, 0.25, 0.8, 0.9]  # without the median
RUNS = {
    "linear": (
        "series_linear",
        lambda: frame("hours", "iso", ("load", "temp"), 900),
        dict(target="load"),
    ),
    "gru": (
        "series_gru",
        lambda: frame("months", "dotted", count=240).round(),
        dict(target="load", units=(4,), quantiles=[0.1, 0.5, 0.9]),
    ),
    "two targets": (
        "series_gru",
        lambda: frame("hours", "iso", ("load", "price"), 900),
        dict(target=["load", "price"], units=(4,), quantiles=QUANTILES),
    ),
    "panel": ("series_linear", lambda: rare(sales(14, 130)), PANEL),
    "quantiles": (
        "series_linear",
        lambda: rare(sales(14, 130, whole=True)),
        PANEL | {"quantiles": QUANTILES},
    ),
}


def set_summands(file, series):
    """Store summands of the widths of some series with a run."""
    steps = json.loads(file.read_text("utf-8"))
    (learned,) = [step["learned"] for step in steps if step["name"] == "conformal"]
    for pair in learned["pairs"]:
        assert pair["scale"]["rule"] == "summand"
        pair["scale"]["series"] = series
    file.write_text(json.dumps(steps), "utf-8")


@pytest.fixture(scope="module")
def pages(warm_python, tmp_path_factory):
    """Return a function that returns an export of a run by its name; each is made once."""
    folder, made = tmp_path_factory.mktemp("forecasts"), {}

    def page(name):
        if name not in made:
            preset, table, options = RUNS[name]
            options = {"input_shape": (24, 1), "horizon": HORIZON, "epochs": 2, "seed": 0} | options
            run = fit(preset, table(), folder / f"run_{name}", **options).path
            if name == "quantiles":  # a short training tells no differences between series
                set_summands(run / "postprocessing.json", {"shop 2": [0.3], "shop 5": [-0.1]})
            made[name] = export(warm_python, run, folder / f"export_{name}", ["onnx", "html"])
        return made[name]

    return page


def source(exported):
    return (exported.path / "html" / "model.html").read_text("utf-8")


def stored_of(exported):
    return json.loads(re.search(r'<script id="model"[^>]*>(.*?)</script>', source(exported))[1])


def asked(model, text, confidence=None):
    """Return what the server sends for a table, and the rows of its CSV file."""
    options = PredictionOptions(confidence=confidence)
    model.check_options(options)
    encoded = model.receive(text.encode())
    predictions = model.predictions(encoded, model.check(model.run(encoded.x)), options)
    rows = predictions.rows(top=20)
    for row, history, times in zip(
        rows, predictions.history, predictions.history_times or [None] * len(rows), strict=True
    ):
        row |= {"history": history.tolist()}
        row |= (
            {}
            if times is None
            else {"history_times": list(map(str, predictions.write_times(times)))}
        )
    file = io.StringIO()
    predictions.write_csv(file, spreadsheet_safe=True)
    promise = predictions.promise.replace(
        "a longer table before the forecast adapts the band",
        "it follows the size of the errors of each series",
    )
    return {"predictions": rows, "csv": cells_of(file.getvalue())} | (
        {"promise": promise} if promise else {}
    )


def cells_of(text):
    """Return the rows of a CSV file with its numbers."""
    return [[number(cell) for cell in row] for row in csv.reader(io.StringIO(text))]


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return cell


@pytest.mark.parametrize("name", RUNS)
def test_forecasts_are_those_of_python(name, pages):
    exported = pages(name)
    model = kzoo.runtime.load(exported, "onnx")
    stored = stored_of(exported)
    reader = stored["reader"]["forecasts"]
    assert stored["horizon"] == HORIZON and not {"error"} & set(stored["promises"]["0.8"])
    model._preprocessing["ranges"] = reader["ranges"]
    if reader["ids"]:
        texts = [hard_series.panel("days", [24 + i for i in range(14)], HORIZON).text()]
        texts += list(hard_series.many_series(24, HORIZON))[::3]
    else:
        step = step_of(**reader["calendar"])
        texts = [hard_series.series(step, 60, reader["columns"], time=reader["time"]).text()]
        texts += list(hard_series.one_series(step, 24, reader["columns"]))[::3]
    for level in (None, 0.8, 0.95):
        options = {} if level is None else {"confidence": f"{level:g}"}
        cases = [{"input": {"text": text}, "options": options} for text in texts]
        for text, answer in zip(texts, node_page.answers(exported, cases), strict=True):
            expected = noted(lambda text=text, level=level: asked(model, text, level))
            if "csv" in answer:
                answer = answer | {"csv": cells_of("".join(answer["csv"]))}
            if not expected.get("notes", True):
                del expected["notes"]
            assert not differences(expected, answer), text[:300]
    with_level = [{"input": {"text": texts[0]}, "options": {"confidence": "0.99"}}]
    (answer,) = node_page.answers(exported, with_level)
    expected = noted(lambda: asked(model, texts[0], 0.99))
    assert answer.get("error") == expected.get("error")


def test_series_with_bands_of_their_own_have_them(pages):
    own = [stored_of(pages(name))["promises"]["0.8"]["own"] for name in ("panel", "quantiles")]
    assert all(own) and all(set(codes) <= {str(code) for code in range(1, 15)} for codes in own)


def test_no_row_and_no_id_is_in_the_page(pages):
    for name in ("panel", "quantiles"):
        content = source(pages(name))
        table = RUNS[name][1]()
        assert "Müller" not in content
        assert not [shop for shop in set(table["shop"]) if f'"{shop}"' in content]
        assert "/tmp" not in content
    for name in RUNS:
        numbers = set(re.findall(r"-?\d+\.\d+", source(pages(name))))
        table = RUNS[name][1]()
        cells = {str(cell) for column in table.select_dtypes(float) for cell in table[column]}
        assert len({cell for cell in cells & numbers if len(cell) >= 6}) < 3  # by chance


# The page in a browser


@pytest.fixture(scope="module")
def chromium():
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize(
    ("name", "width", "scheme", "language"),
    [
        ("panel", 1280, "light", "en-US"),
        ("quantiles", 360, "dark", "zh-CN"),
        ("linear", 360, "light", "en-US"),
    ],
)
def test_forecasts_in_a_browser(name, width, scheme, language, pages, chromium):
    exported, short = pages(name), "zh" if language == "zh-CN" else "en"
    size = {"width": width, "height": 900}
    with chromium.new_context(
        offline=True, viewport=size, color_scheme=scheme, locale=language
    ) as context:
        tab = Visit(context.new_page(), "file:")
        page = tab.page
        page.goto((exported.path / "html" / "model.html").as_uri())
        page.wait_for_selector(".ask")
        assert "2024-01" in tab.answer()  # the example, with times
        assert page.locator(".chart svg .after").count() == 1
        if name == "linear":
            given = hard_series.series("hours", 60, ["load", "temp"])
        else:
            given = hard_series.panel("days", (24, 30, 40), HORIZON)
        page.get_by_label(text_of("confidenceLevel", short)).select_option("0.8")
        page.locator("textarea").fill(given.text())
        tab.click("ask", short)
        tab.answer()
        page.wait_for_function("() => document.querySelector('.shown').innerText.includes('80 %')")
        assert page.locator(".chart svg .band").count() == 1
        if name != "linear":
            page.get_by_label(text_of("oneOfSeries", short, n=3)).select_option(label="shop 2")
            assert "shop 2: sales" in page.locator(".shown").inner_text()
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        violations = axe.run(page).response["violations"]
        assert not [v["id"] for v in violations if v["impact"] in ("serious", "critical")]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        with page.expect_download() as download:
            tab.click("download", short)
        written = cells_of(download.value.path().read_text("utf-8"))
        expected = noted(lambda: asked(kzoo.runtime.load(exported, "onnx"), given.text(), 0.8))[
            "csv"
        ]
        assert len(written) == len(expected) and not differences(expected, written, "csv")
        if name == "linear":
            tab.click("copyAnswer", short)
            assert "2023-12-05 12:00: " in page.locator(".copy pre").text_content()
        tab.behaved()


def test_a_model_of_windows_takes_numbers(warm_python, tmp_path, chromium):
    model = kzoo.build("series_gru", input_shape=(8, 2), outputs=2, horizon=3, units=(4,), seed=0)
    exported = export(warm_python, model, tmp_path / "e", ["onnx", "html"])
    windows = np.random.default_rng(0).normal(size=(3, 8, 2)).round(3).tolist()
    (answer,) = node_page.answers(exported, [{"input": {"json": windows}}])
    expected = kzoo.runtime.load(exported, "onnx").predict(np.array(windows))
    assert np.allclose([row["values"] for row in answer["predictions"]], expected.values, atol=1e-6)
    file = io.StringIO()
    expected.write_csv(file)
    assert not differences(cells_of(file.getvalue()), cells_of("".join(answer["csv"])), "csv")
    with chromium.new_context(offline=True) as context:
        tab = Visit(context.new_page(), "file:")
        tab.page.goto((exported.path / "html" / "model.html").as_uri())
        tab.answer()
        tab.behaved()


def test_times_that_a_page_cannot_count_are_refused():
    reader = {"time": "at", "columns": ["load"], "outputs": 1, "steps": 8}
    calendar = {"column": "at", "step": "seconds", "every": 3600.0}
    for change, words in (
        ({"zone": "Europe/Berlin"}, ("'at'", "Europe/Berlin", "UTC", "onnx")),
        ({"every": 0.0005}, ("milliseconds", "onnx")),
    ):
        with refuses(*words):
            description._forecast_reader(reader | {"calendar": calendar | change}, None, None)


# Labelled series whose times are dates

READ_LABELLED = """
answerAll(given.texts, (text) => {
  const notes = [], table = engine.readTable(text.replaceAll("\\r\\n", "\\n"), "the table", notes);
  const { x, names } = engine.encodeSeries(given.reader, table, notes);
  return { x: Array.from(x), names, notes };
});
"""


def labelled(form, step="days", lengths=(14, 9, 12), count=24):
    """Return the table of labelled series of different lengths."""
    rows = []
    for number in range(count):
        made = hard_series.series(
            step, lengths[number % len(lengths)], ["x", "y"], form=form, seed=number
        )
        rows += [[f"s{number}", *row, "ab"[number % 2]] for row in made.rows]
    return hard_series.Table(["sensor", "time", "x", "y", "state"], rows)


def labelled_tables(step, form):
    """Yield texts of tables of labelled series with times in many formats, and times that cannot be read."""
    table = labelled(form, step, count=3)
    rows = range(len(table.rows))
    yield table.text()
    yield table.take(rows[::-1]).text()
    yield table.take(np.random.default_rng(0).permutation(len(rows))).text()
    yield table.take([row for row in rows if row % 5]).text()
    yield table.take([*rows, 3]).text()
    yield table.only(["sensor", "x", "y"]).text()
    yield table.only(["time", "x", "y"]).take(rows[:9]).text()
    yield table.only(["time", "x", "y"]).text()
    for other in TIMES:
        yield labelled(other, step, count=2).text()
        yield labelled(other, step, count=3).take(rows[::-1]).text()
    numbers = hard_series.Table(table.names, table.rows)
    for row, cells in enumerate(numbers.rows):
        cells[1] = str(row)
    yield numbers.text()
    for cell in ("", "NA", "later", "2023-02-30", "31.12.2099", "12", "2024-01-05 25:00", "1e3"):
        yield table.but((4, "time", cell)).text()
    yield table.but((4, "time", table.rows[5][1])).text()
    fine = [f"2024-01-01 10:00:00.{100 + i:06}" for i in range(14)]
    yield table.take(rows[:14]).but(*((i, "time", cell) for i, cell in enumerate(fine))).text()


@pytest.mark.parametrize(
    ("step", "form"),
    [
        ("days", "days"),
        ("days", "day first"),
        (86_400, "month first"),
        ("hours", "offset"),
        ("days", "digits"),
        ("months", "months"),
        ("hours", "named"),
    ],
)
def test_labelled_series_with_dates_are_read_as_in_python(step, form):
    made = labelled(form, step)
    table = pd.DataFrame(made.rows, columns=made.names).astype({"x": float, "y": float})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = kzoo.load_data(table, target="state", series_id="sensor", time="time")
    reader = json.loads(json.dumps(data.preprocessing))
    stored = description._stored_reader(reader, {}, None)["series"]
    assert stored["times"] != "numbers"
    texts = list(labelled_tables(step, form))

    def read(text):
        encoded = encode_named(reader, received_labelled(reader, text.encode()))
        return {"x": encoded.x.ravel().tolist(), "names": list(encoded.names)}

    answers = node_page.run(READ_LABELLED, {"reader": stored, "texts": texts})
    for text, answer in zip(texts, answers, strict=True):
        assert not differences(noted(lambda text=text: read(text)), answer), text[:500]
    assert sum("error" not in answer for answer in answers) > 10


@pytest.mark.parametrize("form", ["days", "digits", "months"])
def test_the_example_of_a_labelled_series_has_dates(form, warm_python, tmp_path, chromium):
    step = "months" if form == "months" else "days"
    made = labelled(form, step, count=24)
    table = pd.DataFrame(made.rows, columns=made.names).astype({"x": float, "y": float})
    options = dict(target="state", series_id="sensor", time="time", units=(4,), epochs=1)
    run = fit("series_gru", table, tmp_path / "run", **options)
    exported = export(warm_python, run, tmp_path / "e", ["onnx", "html"])
    cases = [{"input": {"text": text}} for text in list(labelled_tables(step, form))[:4]]
    model = kzoo.runtime.load(exported, "onnx")
    for case, answer in zip(cases, node_page.answers(exported, cases), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoded = model.receive(case["input"]["text"].encode())
        expected = model.predictions(encoded, model.run(encoded.x)).rows()
        assert not differences(json.loads(json.dumps(expected)), answer["predictions"])
    with chromium.new_context(offline=True) as context:
        tab = Visit(context.new_page(), "file:")
        tab.page.goto((exported.path / "html" / "model.html").as_uri())
        shown = tab.answer()
        first = {"days": "2024-01-01", "digits": "20240101", "months": "202401"}[form]
        assert first in tab.page.locator("textarea").input_value()
        assert "%" in shown and "not in the format" not in shown and "ambiguous" not in shown
        tab.behaved()
