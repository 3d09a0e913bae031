"""Clients of users: tritonclient, the calls that TensorFlow Serving documents for curl, requests, OpenAPI."""

import base64
import csv
import io
import json
import subprocess

import numpy as np
import pytest
from messages import assert_mentions, missing_from, refuses
from PIL import Image
from served import GOLDEN

import kzoo.runtime

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).integers(0, 17, (3, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def wanted(exports, x):
    return kzoo.runtime.load(exports / "digits").predict(x).probabilities


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient(server, x, wanted, binary):
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(f"{server.host}:{server.port}")
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("digits")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("digits")
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 1]}]
    tensor = triton.InferInput("image", list(x.shape), "FP32").set_data_from_numpy(
        x, binary_data=binary
    )
    outputs = [triton.InferRequestedOutput("probabilities", binary_data=binary)]
    for version, requested in (("", None), ("1", outputs)):
        result = client.infer(
            "digits", [tensor], model_version=version, outputs=requested, request_id="7"
        )
        np.testing.assert_allclose(result.as_numpy("probabilities"), wanted, atol=1e-6)
        assert result.get_response()["id"] == "7" and result.get_response()["model_version"] == "1"
    with refuses("'labels'", "'probabilities'", error=triton.InferenceServerException):
        client.infer("digits", [tensor], outputs=[triton.InferRequestedOutput("labels")])
    texts = np.array([b"Well, the film was a joy.", b"quite unknown"], dtype=object)
    tensor = triton.InferInput("tokens", [2], "BYTES").set_data_from_numpy(
        texts, binary_data=binary
    )
    assert client.infer("text", [tensor]).as_numpy("probabilities").shape == (2, 3)
    client.close()


def curl(*words):
    """Return the output of curl, run as users run it."""
    return json.loads(
        subprocess.run(["curl", "-s", *words], capture_output=True, text=True, check=True).stdout
    )


def test_calls_that_tensorflow_serving_documents_for_curl(server, x, wanted):
    """The calls of https://www.tensorflow.org/tfx/serving/api_rest, with this model's inputs."""
    url = f"{server.url}/v1/models/digits"
    rows = curl("-d", json.dumps({"instances": x.tolist()}), "-X", "POST", f"{url}:predict")
    np.testing.assert_allclose(rows["predictions"], wanted, atol=1e-6)
    columns = curl(
        "-d",
        json.dumps({"inputs": {"image": x.tolist()}}),
        "-X",
        "POST",
        f"{url}/versions/1:predict",
    )
    np.testing.assert_allclose(columns["outputs"], wanted, atol=1e-6)
    named = [{"image": pixels} for pixels in x.tolist()]
    body = json.dumps({"signature_name": "serving_default", "instances": named})
    assert curl("-d", body, f"{url}:predict") == rows
    status = curl(url)["model_version_status"][0]
    assert (status["version"], status["state"], status["status"]["error_code"]) == (
        "1",
        "AVAILABLE",
        "OK",
    )
    metadata = curl(f"{url}/metadata")
    assert metadata["model_spec"] == {"name": "digits", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert [d["size"] for d in signature["inputs"]["image"]["tensor_shape"]["dim"]] == [
        "-1",
        "8",
        "8",
        "1",
    ]
    picture = {"b64": base64.b64encode(png(np.zeros((20, 30), "uint8"))).decode()}
    assert (
        len(curl("-d", json.dumps({"instances": [picture]}), f"{url}:predict")["predictions"][0])
        == 10
    )
    assert "error" in curl("-d", "{}", f"{url}:classify")


def test_an_image_is_uploaded(server, exports):
    picture = (np.arange(30 * 40 * 3) % 251).reshape(30, 40, 3).astype("uint8")
    wanted = kzoo.runtime.load(exports / "digits").predict([Image.fromarray(picture)]).rows()
    single = server.post(
        "/v1/models/digits/answer", png(picture), headers={"Content-Type": "image/png"}
    )
    assert single.json()["predictions"] == wanted
    form = server.post(
        "/v1/models/digits/answer",
        files=[("a", ("x.png", png(picture))), ("b", ("y", png(picture)))],
    )
    assert [row["classes"] for row in form.json()["predictions"]] == [wanted[0]["classes"]] * 2
    packed = {"inputs": [{"b64": base64.b64encode(png(picture)).decode()}]}
    assert server.post("/v1/models/digits/answer?top=1", json=packed).json()["predictions"][0] == (
        wanted[0] | {"classes": wanted[0]["classes"][:1]}
    )


def test_pixels_of_another_range_are_refused_by_each_protocol(server, x):
    def responses(x):
        numbers = x.astype(float).tolist()
        tensor = dict(name="image", datatype="FP32", shape=list(x.shape), data=numbers)
        yield server.post("/v1/models/digits/answer", json={"inputs": numbers})
        yield server.post("/v1/models/digits:predict", json={"instances": numbers})
        yield server.post("/v2/models/digits/infer", json={"inputs": [tensor]})

    for wrong, parts in (
        (x / 255, ("0..1", "x * 255")),
        (x * 0 - 5, ("0..255", "-5..-5")),
        (x * 1e9, ("0..255", f"{x.max() * 1e9:g}")),
    ):
        for response in responses(wrong):
            assert response.status_code == 400, response.text
            assert_mentions(response.json()["error"], *parts)
    for response in responses((x > 8).astype(int)):
        assert response.status_code == 200
        assert_mentions(str(response.json()), "0 or 1", "x * 255")
    assert all(missing_from(response.text, ["x * 255"]) for response in responses(x))


@pytest.mark.filterwarnings("ignore:.*'town'.* 1 of 8")
def test_rows_and_a_csv_in_and_a_csv_out(server, exports):
    content = (GOLDEN / "table" / "new.csv").read_bytes()
    headers = {"Content-Type": "text/csv"}
    wanted = kzoo.runtime.load(exports / "table").predict(GOLDEN / "table" / "new.csv")
    answer = server.post("/v1/models/table/answer", content, headers=headers).json()
    assert answer["predictions"] == wanted.rows()
    assert_mentions(answer["notes"][0], "'town'", "1 of 8", "category")
    out = server.post("/v1/models/table/answer", content, headers=headers | {"Accept": "text/csv"})
    assert out.headers["content-type"] == "text/csv; charset=utf-8"
    written = io.StringIO()
    wanted.write_csv(written)
    assert out.text == written.getvalue()
    assert json.loads(out.headers["x-kzoo-notes"]) == answer["notes"]  # a CSV cannot hold them
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    kept = server.post("/v1/models/table/answer?keep=town", content, headers=headers).json()[
        "predictions"
    ]
    assert [row["kept"]["town"] for row in kept] == [row["town"] or None for row in rows]
    refused = server.post("/v1/models/table/answer?keep=city", content, headers=headers)
    assert refused.status_code == 400
    assert_mentions(refused.json()["error"], "'city'", "town")
    predictions = server.post("/v1/models/table/answer", json={"inputs": rows}).json()[
        "predictions"
    ]
    assert [row["label"] for row in predictions] == wanted.labels
    by_column = {name: [row[name] for row in rows] for name in rows[0]}
    # as pandas' `to_json` writes it
    by_row = {name: dict(enumerate(cells)) for name, cells in by_column.items()}
    for columns in (by_column, by_row):
        assert (
            server.post("/v1/models/table/answer", json=columns).json()["predictions"]
            == predictions
        )
    served = server.post("/v1/models/table:predict", json={"instances": rows}).json()
    np.testing.assert_allclose(served["predictions"], wanted.probabilities, atol=1e-6)
    assert served["notes"] == answer["notes"]
    columns = server.post("/v1/models/table:predict", json={"inputs": by_column}).json()
    assert columns["outputs"] == served["predictions"]


def test_rows_that_are_not_read_as_training_was_are_refused_in_one_line(server):
    rows = list(csv.DictReader((GOLDEN / "table" / "new.csv").read_text("utf-8-sig").splitlines()))
    misspelt = [
        *rows[:2],
        {"agee" if name == "age" else name: cell for name, cell in rows[2].items()},
    ]
    unreadable = [row | {"income": "a lot"} for row in rows]
    for wrong, parts in (
        (misspelt, ("row 3", "'age'", "'agee'")),
        (unreadable, ("'income'", "number", f"{len(rows)} of {len(rows)}", "'a lot'")),
    ):
        lines = [
            ",".join(wrong[0]),
            *(",".join(f'"{cell}"' for cell in row.values()) for row in wrong),
        ]
        for response in (
            server.post("/v1/models/table/answer", json={"inputs": wrong}),
            server.post("/v1/models/table:predict", json={"instances": wrong}),
            *(
                [
                    server.post(
                        "/v1/models/table/answer",
                        "\n".join(lines).encode(),
                        headers={"Content-Type": "text/csv"},
                    )
                ]
                if wrong is unreadable
                else ()
            ),
        ):
            assert response.status_code == 400, response.text
            assert_mentions(response.json()["error"], *parts)


def test_codes_that_stand_for_no_category_are_refused_as_tensors_too(server):
    row = [0.0] * 11  # without the last column, a category
    for code in (-1, 1.5, 99):
        tensor = dict(name="rows", datatype="FP32", shape=[1, 12], data=[*row, code])
        for response in (
            server.post("/v1/models/table:predict", json={"instances": [[*row, code]]}),
            server.post("/v2/models/table/infer", json={"inputs": [tensor]}),
        ):
            assert response.status_code == 400, response.text
            assert_mentions(response.json()["error"], "'member'", "0", "2", f"{code}")


@pytest.mark.filterwarnings("ignore:.* texts? .*row")
def test_texts(server, exports):
    # a text that could be the name of a file is a text
    texts = ["Well, the film was a joy.", "letters.txt", ""]
    rows = kzoo.runtime.load(exports / "text").predict({"text": texts}).rows()
    wanted = [row | {"input": text} for row, text in zip(rows, texts, strict=True)]
    assert server.post("/v1/models/text/answer", json=texts).json()["predictions"] == wanted
    assert server.post("/v1/models/text/answer", json=texts[0]).json()["predictions"] == wanted[:1]
    plain = server.post(
        "/v1/models/text/answer", texts[0].encode(), headers={"Content-Type": "text/plain"}
    )
    assert plain.json()["predictions"] == wanted[:1]
    table = server.post("/v1/models/text/answer", json=[{"text": text} for text in texts]).json()[
        "predictions"
    ]
    assert [row["classes"] for row in table] == [row["classes"] for row in wanted]
    films = [
        ("a.txt", f"{texts[0]}\n"),
        ("b.MD", "A second one:\nthe film was a waste."),
        ("c", "so-so"),
    ]
    for files in (films[:1], films):
        form = [
            ("file", (name, text, "text/plain" if name == "c" else None)) for name, text in files
        ]
        alike = server.post(
            "/v1/models/text/answer", json=[text.strip() for _, text in files]
        ).json()
        assert server.post("/v1/models/text/answer", files=form).json() == alike
    # by its name a table
    form = [("file", ("new.csv", "text\n" + texts[0].replace(",", ""), "text/plain"))]
    assert len(server.post("/v1/models/text/answer", files=form).json()["predictions"]) == 1
    mixed = server.post(
        "/v1/models/text/answer", files=[*form, ("file", ("a.txt", "fine", "text/plain"))]
    )
    assert mixed.status_code == 400
    assert_mentions(mixed.json()["error"], "texts", "table")
    for sent in (["", "so-so joy"], [{"text": None}, {"text": "so-so joy"}]):
        (note,) = server.post("/v1/models/text/answer", json=sent).json()["notes"]
        assert_mentions(note, "1 of 2", "word", "row 1")
    predictions = server.post("/v1/models/language/answer?top=3", json=["the cat sees"]).json()[
        "predictions"
    ]
    assert len(predictions[0]["classes"]) == 3


def test_half_of_a_character_is_refused_in_texts_and_returned_in_an_id(server):
    half = ["so-so joy", "so good \ud83d"]
    tensor = {"name": "tokens", "datatype": "BYTES", "shape": [2], "data": half}
    for address, sent in (
        ("/v1/models/text/answer", half),
        ("/v1/models/text/answer", [{"text": text} for text in half]),
        ("/v1/models/language/answer", half),
        ("/v1/models/text:predict", {"instances": half}),
        ("/v2/models/text/infer", {"inputs": [tensor]}),
    ):
        refused = server.post(
            address, json.dumps(sent), headers={"Content-Type": "application/json"}
        )
        assert refused.status_code == 400, address
        assert_mentions(refused.json()["error"], "text 2", "character")
    sent = {"id": "\ud83d", "inputs": [tensor | {"data": ["so-so", "joy"]}]}
    assert server.post("/v2/models/text/infer", json.dumps(sent)).json()["id"] == "\ud83d"


def test_a_series(server):
    rows = [{"load": float(hour), "sun": 0.5} for hour in range(1, 9)]
    predictions = server.post("/v1/models/power/answer", json={"inputs": rows}).json()[
        "predictions"
    ]
    assert np.allclose(predictions[0]["values"], [[5.5], [11], [16.5]]) and predictions[0][
        "targets"
    ] == ["load"]
    table = "load,sun\n" + "".join(f"{row['load']},{row['sun']}\n" for row in rows)
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    seen = server.post("/v1/models/power/answer?history=true", json={"inputs": rows}).json()[
        "predictions"
    ]
    assert seen[0]["history"] == [[float(hour)] for hour in range(3, 9)]  # the start of a picture
    lines = server.post("/v1/models/power/answer", table, headers=headers).text.splitlines()
    assert lines == ["step,load", "1,5.5", "2,11.0", "3,16.5"]


def test_about_has_the_facts_for_a_page(server, exports):
    listed = {model["name"]: model for model in server.get("/v1/models").json()["models"]}
    assert listed.keys() == {"digits", "power", "table", "text", "language"}
    for name, model in listed.items():
        about = server.get(f"/v1/models/{name}/about").json()
        assert (
            about["task"] == model["task"] and about["input"]["raw"] and about["trained_on"]["name"]
        )
        if about["example"] is not None:
            inputs = about["example"] if isinstance(about["example"], list) else [about["example"]]
            answer = server.post(f"/v1/models/{name}/answer", json={"inputs": inputs})
            assert answer.status_code == 200, (name, answer.text)
    digits = server.get("/v1/models/digits/about").json()
    assert digits["input"]["form"] == {"height": 8, "width": 8, "channels": 1}
    assert digits["score"]["value"] == 0.9 and digits["score"]["interval"] == [0.8, 0.95]
    baselines = {baseline["label"]: baseline["value"] for baseline in digits["score"]["beside"]}
    assert baselines == {
        "always the most frequent": 0.1,
        "small image and logistic regression": 0.97,
    }
    assert digits["score"]["warning"]  # the baseline is better
    language = server.get("/v1/models/language/about").json()["score"]
    # a share of right answers cannot be compared with it
    assert language["name"] == "bits_per_token"
    assert "always the most frequent" not in [baseline["label"] for baseline in language["beside"]]
    fields = {
        field["name"]: field
        for field in server.get("/v1/models/table/about").json()["input"]["form"]["columns"]
    }
    assert fields["age"]["default"] == 55.0 and fields["since"]["default"] == "2020-05-14 11:00"
    assert (
        fields["town"]["kind"] == "category"
        and fields["town"]["default"] in fields["town"]["values"]
    )


def test_openapi_is_valid_and_names_every_address(server):
    validate = pytest.importorskip("openapi_spec_validator").validate
    document = server.get("/openapi.json").json()
    validate(document)
    for path, methods in document["paths"].items():
        address = path.replace("{name}", "digits").replace("{version}", "1")
        (method,) = methods.keys() - {"parameters"}
        response = server.session.request(method, server.url + address, data=b"?", timeout=10)
        assert response.status_code == (400 if method == "post" else 200), (address, response.text)


def test_the_page_may_reach_this_server_alone(server):
    page = server.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert not any("unsafe" in rule or "http" in rule or "*" in rule for rule in policy)
    for path in ("/../setup.cfg", "/%2e%2e/app.py", "/page/index.html", "/app.py"):
        assert server.get(path).status_code == 404


def test_metrics_count_requests_and_rows(server, x):
    server.answers("digits", x)
    lines = server.get("/metrics").text.splitlines()
    values = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if not line.startswith("#")
    }
    assert values['kzoo_requests_total{model="digits",status="200"}'] >= 1
    assert (
        values['kzoo_rows_total{model="digits"}']
        >= 3
        >= values['kzoo_waiting{model="digits"}']
        == 0
    )
    count = values['kzoo_request_seconds_count{model="digits"}']
    assert values['kzoo_request_seconds_bucket{model="digits",le="+Inf"}'] == count
    assert values["process_resident_memory_bytes"] > 2**24
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}
    assert {
        name.partition("{")[0].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for name in values
    } == kinds.keys()


def test_each_request_has_its_line_and_its_id(server, x):
    body = {"instances": x.tolist()}
    response = server.post(
        "/v1/models/digits:predict", json=body, headers={"X-Request-Id": "mine-1"}
    )
    assert response.headers["x-request-id"] == "mine-1"

    def lines(number):  # a line is written once the answer has gone out
        server.wait_for(lambda: any(line["id"] == number for line in server.log("request")))
        return [line for line in server.log("request") if line["id"] == number]

    (line,) = lines("mine-1")
    assert (line["status"], line["model"], line["version"], line["rows"]) == (200, "digits", "1", 3)
    odd = server.get("/nothing\u2028here", headers={"X-Request-Id": "a\tb"})
    assert odd.status_code == 404 and odd.headers["x-request-id"] != "a\tb"
    assert lines(odd.headers["x-request-id"])[0]["error"] == odd.json()["error"]


RANGES = {
    f"{sign}INT{bits}": (0 if sign else -(2 ** (bits - 1)), 2 ** (bits - (not sign)) - 1)
    for bits in (8, 16, 32, 64)
    for sign in ("U", "")
}


def infer(server, datatype, value, shape=(1, 6, 2), count=12):
    """Send the forecast, which takes any numbers, a tensor of equal values; return (status, error)."""
    tensor = {"name": "series", "datatype": datatype, "shape": list(shape), "data": [value] * count}
    response = server.post("/v2/models/power/infer", json.dumps({"inputs": [tensor]}))
    return response.status_code, response.json().get("error", "")


@pytest.mark.parametrize("datatype", RANGES)
def test_whole_numbers_of_a_tensor_are_those_of_its_datatype(server, datatype):
    low, high = RANGES[datatype]
    for value in (low, high, 1, 1.0):
        assert infer(server, datatype, value) == (200, ""), value
    for value in (low - 1, high + 1, 0.5, -1e300, True, "1", None, [1, 2]):
        status, reason = infer(server, datatype, value)
        assert status == 400 and reason and len(reason.splitlines()) == 1, (value, reason)
    assert_mentions(infer(server, "UINT8", -1)[1], "UINT8", "-1")
    assert_mentions(infer(server, datatype, False)[1], datatype, "true", "false")


def test_other_numbers_of_a_tensor_are_those_of_its_datatype(server):
    for datatype, value in (
        ("BOOL", True),
        ("BOOL", 0),
        ("FP16", 65504),
        ("FP32", -1e30),
        ("FP64", 0.5),
    ):
        assert infer(server, datatype, value) == (200, ""), datatype
    for datatype, value in (
        ("BOOL", 2),
        ("BOOL", -1),
        ("BOOL", 0.5),
        ("FP16", 65520),
        ("FP32", 1e39),
        ("FP32", True),
    ):
        assert infer(server, datatype, value)[0] == 400, (datatype, value)
    for shape, count in (((1, 6, 2), 11), ((1, 2, 6), 12), ((12,), 12), ((2, 6, 2), 12)):
        assert infer(server, "FP32", 1.0, shape, count)[0] == 400, shape
    tensor = {
        "name": "series",
        "datatype": "BOOL",
        "shape": [1, 6, 2],
        "parameters": {"binary_data_size": 12},
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    for content, status in ((b"\1" * 12, 200), (b"\7" * 12, 400)):
        header = {"Inference-Header-Content-Length": str(len(head))}
        assert (
            server.post("/v2/models/power/infer", head + content, headers=header).status_code
            == status
        )
    response = server.post(
        "/v1/models/power:predict", json.dumps({"instances": [[[True] * 2] * 6]})
    )
    assert response.status_code == 400
    assert_mentions(response.json()["error"], "true", "false")
