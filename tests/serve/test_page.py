"""The page in a browser: every kind of input, errors, waiting, keys, languages, and no harm.

Texts of the page are named by their keys in `strings.js`.
"""

import io
import json
import shutil
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hand_made import graph_of, write, write_digits, write_panel
from messages import assert_mentions
from page_visit import ANSWERED, WRONG, Visit, browsing, text, transfer
from served import serving

pytestmark = pytest.mark.slow
MARK = '<img src=x onerror="document.title=1">'
TABLE = "age,income,code,since,town,member\n44,5200,1,2020-05-06,Genf,yes\n61,2100,2,2019-01-02,Bern,no\n"
WAVES = "load,sun\n" + "".join(f"{hour},0.5\n" for hour in range(1, 9))
SHOPS = "shop,day,sales,promo\n" + "".join(
    f"{shop},2024-05-{day:02d},{'' if day > 6 else level + day},{promo if day > 6 else 0}\n"
    for shop, level, promo in (("east", 10, 0), ("west", 50, 1))
    for day in range(1, 10)
)
TWO = [[(0.3, 0.3), (0.4, 0.2), (0.6, 0.2), (0.65, 0.35), (0.3, 0.8), (0.7, 0.8)]]
KINDS = (
    "digits",
    "photos",
    "power",
    "shops",
    "table",
    "values",
    "customers",
    "text",
    "language",
    "numbers",
)


def png(size=(20, 16), colour=(200, 30, 30)):
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def write_photos(path):
    """Write a classifier of colour images, whose classes have names that are no HTML."""
    weights = np.random.default_rng(3).normal(0, 1e-3, (12 * 12 * 3, 3)).astype("float32")
    nodes = [
        ("Flatten", ["image"], ["flat"]),
        ("MatMul", ["flat", "w"], ["z"]),
        ("Softmax", ["z"], ["probabilities"]),
    ]
    graph = graph_of(nodes, {"w": weights}, "image", [12, 12, 3], "probabilities", [3])
    reader = {"kind": "image", "shape": [12, 12, 3], "resize": "cover", "background": "white"}
    labels = [MARK, "<b>dark</b>", "light"]
    write(
        path,
        graph,
        "image",
        [12, 12, 3],
        "probabilities",
        [3],
        reader,
        "image_classification",
        labels=labels,
    )


def write_values(path):
    """Write a regression: rent is 10 times size plus floor."""
    graph = graph_of(
        [("MatMul", ["rows", "w"], ["values"])],
        {"w": np.array([[10], [1]], "float32")},
        "rows",
        [2],
        "values",
        [1],
    )
    size = {
        "name": "size",
        "kind": "number",
        "median": 70.125,
        "missing": False,
        "low": 20.0,
        "high": 150.0,
    }
    floor = {"name": "floor", "kind": "number", "median": 2.0, "missing": False}
    reader = {"kind": "table", "columns": [size, floor]}
    write(path, graph, "rows", [2], "values", [1], reader, "tabular_regression", targets=["rent"])


def write_customers(path):
    """Write a classifier of two classes that reads ten numbers, of which one may be missing, and nine categories."""
    features = 10 + 1 + 9
    weights = np.zeros((features, 2), "float32")
    weights[0, 1], weights[11, 1] = 0.3, 0.5
    nodes = [("MatMul", ["rows", "w"], ["z"]), ("Softmax", ["z"], ["probabilities"])]
    graph = graph_of(nodes, {"w": weights}, "rows", [features], "probabilities", [2])
    numbers = [
        {"name": f"amount {n}", "kind": "number", "median": 4.0 - n, "missing": n == 1}
        for n in range(10)
    ]
    categories = [
        {"name": f"plan {n}", "kind": "category", "values": ["free", "paid"]} for n in range(9)
    ]
    reader = {"kind": "table", "columns": numbers + categories}
    labels = ["stays", "leaves"]
    write(
        path,
        graph,
        "rows",
        [features],
        "probabilities",
        [2],
        reader,
        "tabular_classification",
        labels=labels,
    )


@pytest.fixture(scope="module")
def chromium():
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def folders(exports, tmp_path_factory):
    home = tmp_path_factory.mktemp("page")
    write_photos(home / "photos")
    write_values(home / "values")
    write_customers(home / "customers")
    write_panel(home / "shops")
    write_digits(home / "numbers")
    manifest = json.loads((home / "numbers" / "kzoo.json").read_text())
    (home / "numbers" / "kzoo.json").write_text(
        json.dumps(manifest | {"preprocessing": None, "metrics": {}, "data": None})
    )
    return [
        *(exports / name for name in ("digits", "power", "table", "text", "language")),
        *(home / name for name in ("photos", "shops", "values", "customers", "numbers")),
    ]


@pytest.fixture(scope="module")
def site(folders, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("site"), *folders) as server:
        yield server


@pytest.fixture
def visit(chromium, site):
    """Return a function that opens a tab; in the end each must have behaved."""
    opened = []

    def start(*, server=site, refused=False, **options):
        options = {"locale": "en-GB", "viewport": {"width": 1100, "height": 900}} | options
        context = chromium.new_context(**options)
        context.set_default_timeout(15_000)
        tab = Visit(context.new_page(), server.url)
        opened.append((tab, context, refused))
        return tab

    yield start
    for tab, context, refused in opened:
        tab.behaved(refused=refused)
        context.close()


def ask_digits(tab):
    tab.draw(TWO)


def ask_photos(tab):
    tab.page.set_input_files(
        "input[type=file]", {"name": "red.png", "mimeType": "image/png", "buffer": png()}
    )


def ask_power(tab):
    tab.page.fill("textarea", WAVES)
    tab.click()


def ask_shops(tab):
    tab.page.fill("textarea", SHOPS)
    tab.click()


def ask_plainly(tab):
    tab.click()


def ask_text(tab):
    tab.page.fill("textarea", "Well, the film was a joy.")
    tab.click()


def ask_language(tab):
    tab.page.fill("textarea", "the cat sees")
    tab.page.locator("input[type=range]").first.fill("12")
    tab.click("continue")


ASKS = {
    "digits": ask_digits,
    "photos": ask_photos,
    "power": ask_power,
    "shops": ask_shops,
    "table": ask_plainly,
    "values": ask_plainly,
    "customers": ask_plainly,
    "text": ask_text,
    "language": ask_language,
    "numbers": ask_plainly,
}


# Inputs and answers


def test_the_facts_of_the_model_come_first(visit):
    tab = visit()
    page = tab.open("digits")
    assert page.title() == "digits · kzoo" and page.locator("h1").inner_text() == "digits"
    facts = (
        text("task_image_classification"),
        text("parameters", n="640"),
        text("trained", n="1,294", name="digits"),
    )
    assert_mentions(page.locator(".about").inner_text(), *facts)
    score = page.locator(".score").inner_text()
    baseline = text("baseline_small image and logistic regression")
    accuracy = text("score_test", name=text("score_accuracy"), n="100")
    assert_mentions(
        score, "90.0%", accuracy, text("interval", level="95", low="80.0%", high="95.0%")
    )
    bars = [line.split("\n") for line in page.locator(".score li").all_inner_texts()]
    assert bars == [
        [text("thisModel"), "90.0%"],
        [baseline, "97.0%"],
        [text("baseline_always the most frequent"), "10.0%"],
    ]
    assert_mentions(score, text("beaten", name=baseline, value="97.0%"))
    tab.open("numbers")
    assert_mentions(page.locator("main").inner_text(), text("noScore"))
    page.get_by_role("link", name="text", exact=True).click()
    page.wait_for_function("() => document.title === 'text · kzoo'")
    assert page.locator("nav [aria-current]").inner_text() == "text"


def test_a_drawing_is_answered_when_a_line_ends(visit, site):
    tab = visit()
    page = tab.open("digits")
    tab.draw(TWO)
    tab.answer()
    sent = json.loads(page.locator("pre").inner_text().split("'")[-2])
    (prediction,) = site.post("/v1/models/digits/answer", json=sent).json()["predictions"]
    assert page.locator(".verdict strong").inner_text() == prediction["label"]
    assert_mentions(tab.status(), prediction["label"], "%")
    bars = page.locator(".shown .bars li").all_inner_texts()
    assert len(bars) == 9 and bars[0].split("\n")[0] == prediction["label"]
    assert_mentions(bars[-1], text("others", n="2"))
    pixels = np.array(sent["inputs"])
    assert (
        pixels.shape == (1, 8, 8)
        and abs(pixels.mean() / 255 - 0.3) < 0.02
        and pixels[0].max(1).all()
    )
    tab.click("clear")
    tab.click()
    assert tab.error() == text("drawFirst")


def test_images_are_chosen_dropped_and_pasted(visit):
    tab = visit()
    page = tab.open("photos")
    ask_photos(tab)
    first = tab.answer()
    assert MARK in first or "<b>dark</b>" in first or first.startswith("light")
    assert page.locator(".previews img").count() == 1
    for at, event in ((".drop", "drop"), ("body", "paste")):
        page.reload()
        page.wait_for_selector(".drop")
        transfer(page, at, event, "red.png", "image/png", png())
        assert tab.answer() == first
    files = [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": png(colour=(n, n, n))}
        for n in (0, 128, 255)
    ]
    page.set_input_files("input[type=file]", files)
    page.wait_for_function("() => document.querySelectorAll('.shown tbody tr').length === 3")
    assert page.locator("tbody img").first.get_attribute("alt") == "0.png"
    assert not page.locator("main b:has-text('dark')").count() and page.title() == "photos · kzoo"


def test_a_large_photograph_is_made_smaller_with_a_note(visit):
    tab = visit()
    tab.open("photos")
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2500, 3), np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in noise)

    def chunk(kind, content):
        return (
            len(content).to_bytes(4, "big")
            + kind
            + content
            + zlib.crc32(kind + content).to_bytes(4, "big")
        )

    head = (2500).to_bytes(4, "big") + (1500).to_bytes(4, "big") + b"\x08\x02\0\0\0"
    large = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )
    assert len(large) > 8 << 20
    tab.page.set_input_files(
        "input[type=file]", {"name": "large.png", "mimeType": "image/png", "buffer": large}
    )
    assert_mentions(tab.answer(), text("shrunk", name="large.png", width="2,048", height="1,229"))


def test_a_text_is_typed_and_a_table_of_texts_is_pasted(visit, site):
    tab = visit()
    page = tab.open("text")
    page.fill("textarea", "Well, the film was a joy.")
    page.press("textarea", "Control+Enter")
    (prediction,) = site.post("/v1/models/text/answer", json=["Well, the film was a joy."]).json()[
        "predictions"
    ]
    assert tab.answer().split("\n")[0] == prediction["label"]
    tab.way("way_table")
    page.fill("textarea", 'text\nWell, the film was a joy.\n"They say, OUR soup was dreadful!"\n')
    tab.click()
    page.wait_for_selector(".shown tbody")
    rows = page.locator(".shown tbody tr").all_inner_texts()
    assert rows[0].split("\t")[1] == prediction["label"] and rows[1].endswith(
        "They say, OUR soup was dreadful!"
    )
    review = {
        "name": "review.TXT",
        "mimeType": "text/plain",
        "buffer": b"Well, the film was a joy.",
    }
    page.locator("input[type=file]").set_input_files(review)
    page.wait_for_function("() => !document.querySelector('.shown tbody')")
    assert tab.answer().split("\n")[0] == prediction["label"]


def test_a_text_is_continued(visit):
    tab = visit()
    page = tab.open("language")
    page.locator("input[type=range]").last.fill("0")
    ask_language(tab)
    tab.answer()
    written = page.locator(".written").inner_text()
    assert written.startswith("the cat sees") and len(page.locator("mark").inner_text()) == 12
    ask_language(tab)
    page.wait_for_function(ANSWERED)
    assert page.locator(".written").inner_text() == written  # nothing is random at temperature 0
    assert tab.status() == text("saidText", text=page.locator("mark").inner_text().strip())


def test_a_prediction_is_explained(visit):
    tab = visit()
    page = tab.open("values")
    page.locator("input[type=number]").first.fill("80")
    tab.click()
    tab.answer()
    page.locator(".why button").click()
    page.wait_for_selector(".why h4")
    bars = [line.split("\n") for line in page.locator(".why li:has(.track)").all_inner_texts()]
    assert bars == [["size = 80", "+98.8"], ["floor = 2", "0"]]
    assert_mentions(
        page.locator(".why").inner_text(), "rent", "703.25", text("explained_Shapley values")
    )
    assert page.evaluate("document.activeElement.className") == "why"
    tab.open("text")
    ask_text(tab)
    tab.answer()
    page.locator(".why button").click()
    page.wait_for_selector(".why mark")
    assert page.locator(".why .written").inner_text().startswith("Well, the film was a joy")
    tab.open("digits")
    ask_digits(tab)
    tab.answer()
    assert not page.locator(".why").count()


# The second part of a stream is read a second later.
LATER = """() => {
  const { read } = ReadableStreamDefaultReader.prototype;
  let parts = 0;
  ReadableStreamDefaultReader.prototype.read = async function () {
    if (parts++ === 1) await new Promise((done) => setTimeout(done, 1000));
    return read.call(this);
  };
}"""


def test_a_text_grows_and_its_code_gives_it_again(visit):
    tab = visit()
    page = tab.open("language")
    page.evaluate(LATER)
    page.fill("textarea", "the cat sees")
    page.locator("input[type=range]").first.fill("300")
    tab.click("continue")
    page.wait_for_selector("mark:not(:empty)")
    begun = page.locator("mark").inner_text()
    tab.answer()
    written = page.locator(".written").text_content()
    assert len(begun) < 300 and written.startswith("the cat sees" + begun) and len(written) == 312
    code = page.locator(".code code").inner_text()
    assert code.startswith("curl -N ") and "text/event-stream" in code
    tab.way("python")
    command = [sys.executable, "-c", page.locator(".code code").inner_text()]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == written + "\n"


def test_a_cancelled_text_stays_as_far_as_it_was_written(visit):
    tab = visit()
    page = tab.open("language")
    page.evaluate(LATER)
    page.fill("textarea", "the cat sees")
    page.locator("input[type=range]").first.fill("300")
    tab.click("continue")
    page.wait_for_selector("mark:not(:empty)")
    tab.click("cancel")
    tab.answer()
    assert 0 < len(page.locator("mark").inner_text()) < 300


def test_a_version_can_be_chosen(visit, tmp_path):
    write_digits(tmp_path / "many")
    write_digits(tmp_path / "many" / "2", seed=5)
    with serving(tmp_path, tmp_path / "many") as server:
        tab = visit(server=server)
        page = tab.open("%E0%A4%A")  # an address that was cut off
        version = page.get_by_label(text("version"))
        assert version.input_value() == "2" and not page.locator("nav").is_visible()
        version.select_option("1")
        page.get_by_text("/v1/models/many/versions/1/answer").wait_for()
        with page.expect_response(lambda response: "/answer" in response.url) as answered:
            tab.draw(TWO)
        assert answered.value.json()["version"] == "1"
        tab.answer()


def test_a_row_is_filled_in(visit, site):
    tab = visit()
    page = tab.open("table")
    fields = {
        label: page.get_by_label(label, exact=True)
        for label in ("age", "income", "since", "town", "member")
    }
    assert (
        fields["age"].input_value() == "55" and fields["since"].input_value() == "2020-05-14T11:00"
    )
    towns = fields["town"].locator("option").all_inner_texts()
    assert towns == ["Bern, BE", "Genf", "Zürich", 'the "old" town', text("missing")]
    fields["age"].fill("31")
    fields["income"].fill("")  # it was missing in training, too
    fields["town"].select_option("Zürich")
    fields["since"].fill("2021-02-03T04:00")
    tab.click()
    row = {
        "age": 31,
        "income": None,
        "code": 1,
        "since": "2021-02-03T04:00",
        "town": "Zürich",
        "member": "no",
    }
    (prediction,) = site.post("/v1/models/table/answer", json=[row]).json()["predictions"]
    assert tab.answer().split("\n")[0] == prediction["label"]
    tab.click("usual")
    assert fields["age"].input_value() == "55"
    page.get_by_text(text("earlier")).wait_for()


def test_a_value_beyond_the_training_data_has_a_note(visit):
    tab = visit()
    page = tab.open("values")
    assert_mentions(page.locator(".fields").inner_text(), text("range", low="20", high="150"))
    tab.click()
    assert tab.answer().split() == ["rent", "703.25", text("why")]
    assert tab.status() == text("saidValues", values="rent 703.25")
    page.get_by_label("size").fill("900")
    tab.click()
    page.wait_for_selector(".notes")
    assert_mentions(tab.answer(), "1,502", text("clipped", name="size", bound="150"))


# Whether an element is in the window, with nothing in front of it.
IN_VIEW = """(element) => {
  const box = element.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight && (element === top || element.contains(top));
}"""


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_a_long_form_keeps_its_button_and_the_prediction_in_view(visit, size):
    tab = visit(viewport=dict(zip(("width", "height"), size, strict=True)))
    page = tab.open("customers")
    page.locator(".fields").evaluate("(element) => element.scrollIntoView()")
    predict = page.get_by_role("button", name=text("ask"), exact=True)
    assert predict.evaluate(IN_VIEW)
    tab.click()
    answer = tab.answer().split()
    assert answer[0] == "leaves" and set(answer[2::2]) == {"leaves", "stays"}  # both classes of two
    verdict, brief = page.locator(".verdict strong"), page.locator(".brief")
    for label in ("amount 0", "plan 0", "plan 8"):
        page.get_by_label(label, exact=True).evaluate(
            "(element) => element.scrollIntoView({ block: 'center' })"
        )
        page.wait_for_timeout(100)
        assert predict.evaluate(IN_VIEW)
        assert verdict.evaluate(IN_VIEW) or (
            brief.evaluate(IN_VIEW) and brief.inner_text() == tab.status()
        )
    page.locator(".fields").evaluate("(element) => element.scrollIntoView()")
    page.wait_for_timeout(100)
    assert brief.is_visible() == (size[0] < 832)  # below this width, the panel is below the form
    if brief.is_visible():
        brief.click()
        page.wait_for_timeout(100)
        assert verdict.evaluate(IN_VIEW) and not brief.is_visible()


def test_buttons_do_not_cover_the_drawing_pad(visit):
    tab = visit(viewport={"width": 1280, "height": 800})
    page = tab.open("digits")
    page.evaluate("scrollTo(0, 0)")
    pad, bar = (page.locator(selector).bounding_box() for selector in ("canvas.pad", ".bar"))
    assert pad["y"] < 800 < pad["y"] + pad["height"]  # the window ends on the pad
    assert bar["y"] >= pad["y"] + pad["height"]


def test_categories_and_numbers_can_be_missing(visit, site):
    tab = visit()
    page = tab.open("customers")
    with page.expect_request(lambda request: "/answer" in request.url) as typical:
        tab.click()
    row = typical.value.post_data_json["inputs"][0]
    assert row["amount 0"] == 4 and row["plan 0"] == "free"
    tab.answer()
    for label in ("amount 0", "amount 1"):
        page.get_by_label(label, exact=True).fill("")
        assert page.get_by_label(label, exact=True).get_attribute("placeholder") == text("empty")
    page.get_by_label("plan 0", exact=True).select_option(label=text("missing"))
    with page.expect_response(lambda response: "/answer" in response.url) as answered:
        tab.click()
    assert answered.value.request.post_data_json["inputs"] == [
        row | {"amount 1": None, "plan 0": None}  # "amount 0" is 4: the value of the note is sent
    ]
    tab.answer()
    notes = page.locator(".notes li").all_inner_texts()
    # "amount 1" was missing in training, too
    assert text("replaced", name="amount 0", value="4") in notes
    assert not any("amount 1" in note for note in notes)


def test_a_table_is_pasted_or_uploaded_and_comes_back_as_csv(visit, site):
    tab = visit()
    page = tab.open("table")
    tab.way("way_table")
    page.fill("textarea", TABLE)
    tab.click()
    assert_mentions(tab.answer(), text("rows", n="2"), "2020-05-06")
    heads = page.locator("thead th").all_inner_texts()
    assert heads[:4] == [text("row"), text("class"), text("probability"), "age"]
    page.set_input_files(
        "input[type=file]", {"name": "new.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
    )
    page.wait_for_function(ANSWERED)
    with page.expect_download() as download:
        tab.click("download")
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    wanted = site.post("/v1/models/table/answer", TABLE, headers=headers).text
    assert download.value.path().read_text() == wanted
    tab.click("example")
    assert page.input_value("textarea").startswith("age,income,code,since,town,member\n55,")
    tab.click()
    page.wait_for_function("() => document.querySelectorAll('.shown tbody tr').length === 1")


def test_a_forecast_is_a_table_and_a_picture(visit):
    tab = visit()
    page = tab.open("power")
    ask_power(tab)
    assert text("after") in tab.answer()
    assert tab.status() == text("saidForecast", n="3")
    assert page.locator(".shown tbody tr").all_inner_texts() == [
        "1\t5.500",
        "2\t11.000",
        "3\t16.500",
    ]
    page.wait_for_selector(".chart svg")
    title = text("chart", name="load", n="3", first="5.5", last="16.5")
    assert page.locator("svg title").text_content() == title
    points = page.locator("path.before").get_attribute("d").count("L") + 1
    assert points == 6  # the window of the model, not all pasted rows
    # from the last of those on
    assert page.locator("path.after").get_attribute("d").count("L") == 3


def test_a_table_of_many_series_has_a_band_for_each(visit):
    tab = visit(refused=True)
    page = tab.open("shops")
    hint = page.locator(".panel").inner_text()
    assert_mentions(hint, "sales, promo", "day", "shop", text("panelAhead", n="3", known="promo"))
    ask_shops(tab)
    assert_mentions(tab.answer(), text("oneOfSeries", n="2"), "east", "2024-05-07")
    assert tab.status() == text("saidForecasts", n="2", steps="3")
    page.wait_for_selector(".chart svg .band")
    assert page.locator(".shown tbody tr").first.inner_text().split("\t")[1:] == [
        "2024-05-07",
        "13.500",
        "14.500",
        "15.500",
    ]
    page.locator(".shown select").select_option(label="west")
    page.wait_for_function(
        "() => document.querySelector('figcaption b').textContent === 'west: sales'"
    )
    assert page.locator(".shown tbody tr").first.inner_text().split("\t")[1:] == [
        "2024-05-07",
        "63.500",
        "64.500",
        "65.500",
    ]
    with page.expect_download() as download:
        tab.click("download")
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "shop,day,step,sales_q0.1,sales_q0.5,sales_q0.9" and len(lines) == 1 + 2 * 3
    assert lines[4].startswith("west,2024-05-07,1,63.5")
    page.fill(
        "textarea", "\n".join(line for line in SHOPS.splitlines() if "west,2024-05-09" not in line)
    )
    tab.click()
    assert_mentions(tab.error(), "'promo'", "'west'", "2024-05-09")


def test_a_model_without_preprocessing_takes_numbers(visit):
    tab = visit()
    page = tab.open("numbers")
    assert page.locator("textarea").input_value() == ""
    page.fill("textarea", json.dumps(np.zeros((8, 8, 1)).tolist()))
    tab.click()
    assert tab.answer().count("%") == 10


# Errors


def wrong_image(tab):
    tab.page.set_input_files(
        "input[type=file]", {"name": "a.png", "mimeType": "image/png", "buffer": b"no image"}
    )


def wrong_file(tab):
    tab.page.set_input_files(
        "input[type=file]", {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"}
    )


def wrong_row(tab):
    tab.page.get_by_label("code", exact=True).fill("")
    tab.page.get_by_label("code", exact=True).press("-")
    tab.click()


def pasted(content):
    def wrong(tab):
        if tab.page.get_by_role("radio", name=text("way_table")).count():
            tab.way("way_table")
        tab.page.fill("textarea", content)
        tab.click()

    return wrong


WRONG_INPUTS = {
    "digits, nothing": ("digits", ask_plainly, (text("drawFirst"),)),
    "photos, nothing": ("photos", ask_plainly, (text("imageFirst"),)),
    "photos, no image": ("photos", wrong_image, ("image", "Pillow")),
    "photos, another file": ("photos", wrong_file, (text("noImage", name="a.pdf"),)),
    "power, nothing": ("power", ask_plainly, (text("pasteFirst"),)),
    "power, too few": ("power", pasted("load,sun\n1,2\n"), ("6 rows", "1")),
    "table, nothing": ("table", pasted(""), (text("pasteFirst"),)),
    "table, a column": ("table", pasted("age\n1\n"), ("'income'", "missing")),
    "table, a field": ("table", wrong_row, (text("noNumber", name="code"),)),
    "text, nothing": ("text", ask_plainly, (text("typeFirst"),)),
    "text, columns": ("text", pasted("a,b\n1,2\n"), ("'text'", "missing", "a, b")),
    "language, nothing": ("language", lambda tab: tab.click("continue"), (text("typeFirst"),)),
    "numbers, no JSON": ("numbers", pasted("[1, 2"), (text("noJson"),)),
    "numbers, shape": ("numbers", pasted("[[1, 2]]"), ("shape", "(N, 8, 8, 1)")),
}


@pytest.mark.parametrize("case", WRONG_INPUTS)
def test_an_error_is_a_line_near_the_input(visit, case):
    name, wrong, parts = WRONG_INPUTS[case]
    tab = visit(refused=True)
    page = tab.open(name)
    wrong(tab)
    assert_mentions(tab.error(), *parts)
    assert page.locator(".input .error:not(:empty)").get_attribute("role") == "alert"
    if case.endswith(("nothing", "field")):  # for keys and screen readers
        at = page.locator(":focus")
        assert at.get_attribute("aria-invalid") == "true"
        assert at.get_attribute("aria-describedby") == page.locator(
            ".error:not(:empty)"
        ).get_attribute("id")


def test_an_answer_replaces_the_error_and_an_error_the_answer(visit):
    tab = visit()
    page = tab.open("text")
    tab.click()
    tab.error()
    ask_text(tab)
    tab.answer()
    assert not page.locator("[aria-invalid]").count()
    page.fill("textarea", "")
    tab.click()
    assert tab.error() == text("typeFirst") and not tab.status()


# Waiting, tokens, a stopped server


SLOW = """
import sys, time
import kzoo.runtime.model as model
run = model.Model.run
def slowly(self, x, *rest):
    time.sleep(3 if x.any() else 0)
    return run(self, x, *rest)
model.Model.run = slowly
from kzoo.cli import main
main(["serve", *sys.argv[1:], "--port", "0"])
"""


def test_a_slow_model_shows_its_progress_and_can_be_cancelled(visit, exports, tmp_path):
    code = SLOW.replace("*sys.argv[1:]", repr(str(exports / "text")))
    with serving(tmp_path, code=code) as server:
        tab = visit(server=server)
        page = tab.open("text")
        ask_text(tab)
        page.get_by_text(text("begun")).first.wait_for()
        page.get_by_text(text("working", n="1")).wait_for()
        assert page.locator("form").get_attribute("aria-busy") == "true"
        tab.click("cancel")
        assert tab.error() == text("cancelled")
        assert not page.get_by_role("button", name=text("cancel")).is_visible()
        ask_text(tab)
        assert "%" in tab.answer()
        assert (
            not page.locator(".busy").is_visible()
            and not page.locator(".error:not(:empty)").count()
        )


def test_the_token_is_stored_in_the_tab_alone(visit, exports, tmp_path):
    token = "Abcdef-123"
    with serving(tmp_path, exports / "text", env={"KZOO_TOKEN": token}) as server:
        tab = visit(server=server, refused=True)
        page = tab.open()
        for word in ("wrong-token", token):
            page.get_by_label(text("token")).fill(word)
            tab.click("open")
            page.wait_for_selector(f"text={text('wrongToken')}" if word != token else ".ask")
        ask_text(tab)
        tab.answer()
        stored = page.evaluate(
            "() => [sessionStorage, localStorage].map(JSON.stringify).concat(document.cookie)"
        )
        assert token in stored[0] and not any(token in value for value in stored[1:])
        code = page.locator("pre").inner_text()
        assert "$KZOO_TOKEN" in code and token not in code
        page.reload()
        page.wait_for_selector(".ask")
        assert not any(token in url for url in tab.requests)


def test_a_stopped_server_has_an_error(visit, exports, tmp_path):
    with serving(tmp_path, exports / "text") as server:
        tab = visit(server=server, refused=True)
        tab.open("text")
    ask_text(tab)
    assert tab.error() == text("unreachable")


# From other programs


@pytest.mark.parametrize("name", ["photos", "table", "text", "power"])
def test_copied_commands_give_the_same_answer(visit, site, name, tmp_path):
    tab = visit(permissions=["clipboard-read", "clipboard-write"])
    page = tab.open(name)
    with page.expect_response(lambda response: "/answer" in response.url) as answered:
        ASKS[name](tab)
    tab.answer()
    wanted = answered.value.json()["predictions"]
    (tmp_path / "red.png").write_bytes(png())
    copied = {}
    for language in ("curl", "python"):
        tab.way(language)
        tab.click(f"copy_{language}")
        page.get_by_text(text("copied")).wait_for()
        copied[language] = page.evaluate("() => navigator.clipboard.readText()")
    commands = [[sys.executable, "-c", copied["python"].replace("reply.json()", "reply.text")]]
    if shutil.which("curl"):
        commands.append(["bash", "-c", copied["curl"].replace("curl ", "curl -s ", 1)])
    for command in commands:
        printed = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        predictions = json.loads(printed)["predictions"]
        for row in wanted:
            row.pop("history", None)
        assert predictions == wanted, command


# Accessibility and languages


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_serious(visit, name, look):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab = visit(color_scheme=look, refused=True)
    page = tab.open(name)

    def check(when):
        page.wait_for_timeout(300)  # what fades has faded
        faults = [
            fault for fault in axe.run(page).response["violations"] if fault["impact"] != "minor"
        ]
        assert not [
            (fault["id"], fault["impact"], [n["html"] for n in fault["nodes"]]) for fault in faults
        ], when

    check("empty")
    if name != "numbers":
        ASKS[name](tab)
        tab.answer()
        check("answered")
    tab.click("clear") if name == "digits" else None
    if name in ("digits", "text", "power"):
        page.locator("textarea").fill("") if name != "digits" else None
        tab.click()
        page.wait_for_function(WRONG)
        check("wrong")


@pytest.mark.parametrize("look", [{"locale": "en-GB"}, {"locale": "zh-CN", "color_scheme": "dark"}])
@pytest.mark.parametrize("name", KINDS)
def test_a_phone_needs_no_sideways_scrolling(visit, name, look):
    tab = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, **look)
    page = tab.open(name)
    if look["locale"] == "en-GB" and name != "numbers":
        ASKS[name](tab)
        tab.answer()
    page.wait_for_timeout(100)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    # which the row of models was scrolled to
    current = page.locator("nav a[aria-current]").bounding_box()
    assert current["x"] >= 0 and current["x"] + current["width"] <= 390
    touched = "button, select, input[type=radio], input[type=number]"
    sizes = page.evaluate(f"""() => [...document.querySelectorAll("{touched}")]
      .filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().height)""")
    assert min(sizes) >= 24  # for a finger


def test_dark_is_dark(visit):
    shades = []
    for look in ("light", "dark"):
        page = visit(color_scheme=look).open("digits")
        shades.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_chinese_by_the_browser_and_by_the_button(visit):
    tab = visit(locale="zh-CN")
    page = tab.open("digits")
    assert page.evaluate("() => document.documentElement.lang") == "zh-Hans"
    facts = (
        text("task_image_classification", "zh"),
        text("parameters", "zh", n="640"),
        text("trained", "zh", n="1,294", name="digits"),
    )
    assert_mentions(page.locator(".about").inner_text(), *facts)
    score = page.locator(".score").inner_text()
    assert (
        text("score_accuracy", "zh") in score
        and text("baseline_small image and logistic regression", "zh") in score
    )
    tab.click("ask", "zh")
    assert tab.error() == text("drawFirst", "zh")
    tab.draw(TWO)
    shown = tab.answer()
    page.evaluate("() => document.querySelector('pre').remove()")
    words = page.locator("main").inner_text()
    assert set("".join(c if c.isascii() and c.isalpha() else " " for c in words).split()) == {
        "digits",
        "curl",
        "Python",
    }
    page.get_by_role("button", name="English").click()
    assert tab.answer().count("%") == shown.count("%")  # the answer has stayed
    assert_mentions(tab.answer(), text("others", n="2"))
    assert page.evaluate("() => document.documentElement.lang") == "en"
    assert tab.open("text").get_by_role("button", name="中文").count()  # and it is remembered


def test_the_keyboard_is_enough(visit):
    tab = visit()
    page = tab.open("digits")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert (
        page.evaluate("() => document.activeElement.id") == "main"
        and page.title() == "digits · kzoo"
    )
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.value") == "draw"
    page.keyboard.press("Tab")
    if page.evaluate("() => document.activeElement.tagName") == "SELECT":  # of unsure predictions
        page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == text("pad")
    for key in ["ArrowUp"] * 12 + ["Space"] + ["ArrowDown"] * 24 + ["Space"]:
        page.keyboard.press(key)
    assert "%" in tab.answer()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Ask
    page.wait_for_function(ANSWERED)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    if page.evaluate("() => document.activeElement.tagName") == "SELECT":
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".drop")


def test_names_from_the_model_are_text_not_markup(visit):
    tab = visit()
    page = tab.open("photos")
    ask_photos(tab)
    assert MARK in tab.answer()
    assert not page.locator(".shown img, .shown b").count() and page.title() == "photos · kzoo"
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>'; return false; } catch { return true; } }"
    )
    assert refused  # the policy forbids it to the page itself
    assert "TrustedHTML" in tab.console.pop()[1]


# Digits drawn by hand


DRAWN = {  # lines of points, in percent of the pad
    "0": "50,10 30,20 22,50 30,80 50,90 70,80 78,50 70,20 50,10",
    "1": "35,25 52,10 50,90",
    "2": "30,30 40,15 58,15 66,30 60,45 30,85 72,86",
    "3": "30,15 50,10 65,22 60,40 45,47 65,55 70,72 55,88 28,82",
    "4": "58,10 25,60 78,60 / 60,35 60,92",
    "5": "70,12 36,12 33,45 50,40 68,50 70,70 55,87 30,82",
    "6": "62,10 42,30 32,60 36,82 50,90 66,80 67,62 52,52 36,62",
    "7": "28,12 72,12 45,90 / 32,50 70,50",
    "8": "50,48 34,36 36,18 50,10 64,18 66,34 50,48 30,64 32,82 50,90 68,82 70,64 50,48",
    "9": "68,32 55,50 36,46 31,28 42,13 60,13 69,30 66,90",
}


def test_drawn_digits_are_recognised(visit, tmp_path):
    import kzoo

    folders = [
        kzoo.export(name, tmp_path / name, "onnx", progress=False).path for name in ("digits_cnn",)
    ]
    with serving(tmp_path, *folders) as server:
        tab = visit(server=server)
        for name in ("digits_cnn",):
            page = tab.open(name)
            read = {}
            assert page.locator(".score li").count() > 2  # with baselines
            for digit, written in DRAWN.items():
                points = [
                    [point.split(",") for point in line.split()] for line in written.split(" / ")
                ]
                lines = [[(int(x) / 100, int(y) / 100) for x, y in line] for line in points]
                tab.click("clear")
                with page.expect_response(lambda response: "/answer" in response.url):
                    tab.draw(lines[:-1])
                    tab.draw(lines[-1:])
                page.wait_for_timeout(400)  # one more answer may come where it has two lines
                tab.answer()
                read[digit] = page.locator(".verdict strong").inner_text()
            assert sum(label == digit for digit, label in read.items()) >= 9, (name, read)
