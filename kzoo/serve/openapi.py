"""The OpenAPI description of the server. Standard library only."""

from kzoo.serve.limits import Limits
from kzoo.utils.files import JsonObject
from kzoo.utils.version import __version__

_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_SHARE: JsonObject = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_ANY: JsonObject = {}
_JSON, _CSV, _EVENTS = "application/json", "text/csv", "text/event-stream"

# Query parameters of `answer`, and `parameters` of the Open Inference Protocol.
_PROMISES: list[JsonObject] = [
    {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": "string", "enum": ["lac", "raps", "class"]}
        if name == "conformal"
        else {"type": "string", "enum": ["series", "steps", "all"]}
        if name == "total"
        else _SHARE,
    }
    for name, description in (
        (
            "confidence",
            "Also return sets of classes (`set`) or intervals (`lower`, `upper`) that contain the truth for "
            "this share of new rows, such as 0.9.",
        ),
        ("conformal", "How sets of classes are made."),
        ("min_probability", "Rows whose class has a lower probability get the label `unsure`."),
        (
            "accuracy_when_answered",
            "Rows get the label `unsure` so that this share of the others is right.",
        ),
        (
            "total",
            "Of forecasts: return sums over series (at each step), steps (of each series) or all.",
        ),
    )
]


def document(limits: Limits) -> JsonObject:
    """Return the OpenAPI document of all paths.

    Args:
        limits: limits of requests, which are stated in the description.
    """
    paths: JsonObject = {
        "/v1/models": _get("List the models.", "Models", _ref("Models")),
        "/v2": _get(
            "Server metadata.",
            "Server",
            _object(name=_TEXT, version=_TEXT, extensions=_list(_TEXT)),
        ),
        "/v2/health/live": _get("Liveness probe.", "Live", _object(live={"type": "boolean"})),
        "/v2/health/ready": _get("Readiness probe.", "Ready", _object(ready={"type": "boolean"})),
        "/metrics": {
            "get": _operation(
                "Metrics in the text format of Prometheus.", {"text/plain": _TEXT}, "metrics"
            )
        },
        "/openapi.json": _get("This document.", "Document", {"type": "object"}),
    }
    for version in (False, True):
        paths |= _model_paths(version)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kzoo serve",
            "version": __version__,
            "description": "Predictions of exported models. A request may have up to "
            f"{limits.body:,} bytes and {limits.rows:,} inputs, and may add {limits.tokens:,} tokens to a "
            "text. NaN is not allowed in JSON. Errors are "
            '`{"error": MESSAGE}`. Status 503 with Retry-After: the request was not accepted and may be retried.',
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Refused": {
                    "description": "An error message of one line.",
                    "content": {_JSON: {"schema": _ref("Error")}},
                }
            },
            "schemas": _schemas(limits),
        },
    }


def _model_paths(version: bool) -> JsonObject:
    """Return the paths of a model, or of one of its versions."""
    suffix, id_suffix = ("/versions/{version}", "Version") if version else ("", "")
    v1, v2 = f"/v1/models/{{name}}{suffix}", f"/v2/models/{{name}}{suffix}"
    parameters = [_parameter("name"), *([_parameter("version")] if version else [])]
    answers = {_JSON: _ref("Answers"), _CSV: _TEXT}
    raw = {
        _JSON: _ref("Inputs"),
        "image/*": _file(),
        _CSV: _TEXT,
        "text/plain": _TEXT,
        "multipart/form-data": _object(file=_file()),
    }
    top = {
        "name": "top",
        "in": "query",
        "description": "Number of classes per prediction, most likely first.",
        "schema": {"type": "integer", "minimum": 1, "default": 20},
    }
    history = {
        "name": "history",
        "in": "query",
        "description": "For forecasts: also return the input series.",
        "schema": {"type": "boolean", "default": False},
    }
    keep = {
        "name": "keep",
        "in": "query",
        "schema": _TEXT,
        "description": "Columns of an uploaded table to copy to the predictions, separated by commas.",
    }
    of = {
        "name": "of",
        "in": "query",
        "schema": _TEXT,
        "description": "The class, label, target or quantile to explain; by default the predicted one.",
    }
    paths = {
        f"{v1}/answer": _post("Predict from raw inputs.", f"answer{id_suffix}", raw, answers)
        | {"parameters": [top, history, keep, *_PROMISES]},
        f"{v1}/explain": _post(
            "Explain the prediction for one row of a table or one text.",
            f"explain{id_suffix}",
            raw,
            {_JSON: _ref("Explanation")},
        )
        | {"parameters": [of]},
        f"{v1}/generate": _post(
            "Continue a text with a language model. With Accept: text/event-stream, there is an event "
            '`data: {"text": ...}` for each token, and `event: end` with the whole text, or `event: error`.',
            f"generate{id_suffix}",
            {_JSON: _ref("Prompt")},
            {_JSON: _ref("Text"), _EVENTS: _TEXT},
        ),
        f"{v1}:predict": _post(
            "Predict (TensorFlow Serving API).",
            f"predict{id_suffix}",
            {_JSON: _ref("Instances")},
            {_JSON: _ref("Outputs")},
        ),
        f"{v2}/infer": _post(
            "Predict (Open Inference Protocol). With `confidence`, `min_probability` or `accuracy_when_answered` in "
            "`parameters`, there are also the outputs `label` and `set`, or `lower` and `upper`.",
            f"infer{id_suffix}",
            {_JSON: _ref("Tensors"), "application/octet-stream": _file()},
            {_JSON: _ref("Tensors"), "application/octet-stream": _file()},
        ),
        f"{v1}/about": _get(
            "Inputs, outputs and scores of the model.", f"About{id_suffix}", {"type": "object"}
        ),
        v1: _get(
            "Model status (TensorFlow Serving API).", f"Status{id_suffix}", {"type": "object"}
        ),
        f"{v1}/metadata": _get(
            "Signature (TensorFlow Serving API).", f"Signature{id_suffix}", {"type": "object"}
        ),
        v2: _get(
            "Model metadata (Open Inference Protocol).", f"Tensors{id_suffix}", _ref("Metadata")
        ),
        f"{v2}/ready": _get(
            "Readiness of the model.",
            f"ModelReady{id_suffix}",
            _object(name=_TEXT, ready={"type": "boolean"}),
        ),
    }
    return {
        path: endpoint | {"parameters": [*parameters, *endpoint.get("parameters", [])]}
        for path, endpoint in paths.items()
    }


def _schemas(limits: Limits) -> JsonObject:
    tensor = _object(
        name=_TEXT,
        datatype=_TEXT,
        shape=_list({"type": "integer"}),
        data=_list(_ANY),
        parameters={"type": "object"},
    )
    class_score = _object(label=_TEXT, probability=_NUMBER, score=_NUMBER)
    prediction = _object(
        input=_ANY,
        ids={"type": "object"},
        kept={"type": "object"},
        label=_ANY,
        labels=_list(_TEXT),
        classes=_list(class_score),
        values=_ANY,
        mean=_ANY,
        quantiles=_ANY,
        levels=_list(_NUMBER),
        targets=_list(_TEXT),
        times=_list(_TEXT),
        error=_TEXT,
        confidence=_NUMBER,
        set=_list(_TEXT),
        lower=_ANY,
        upper=_ANY,
    )
    model = _object(name=_TEXT, version=_TEXT, versions=_list(_TEXT), task=_ANY, input=_TEXT)
    reason = _object(name=_TEXT, value=_TEXT, amount=_NUMBER, error=_ANY)
    reasons = _object(
        input=_TEXT,
        output=_TEXT,
        prediction=_NUMBER,
        base=_ANY,
        reasons=_list(reason),
        pieces=_list(_list(_ANY)),
    )
    metadata = _object(name=_TEXT, datatype=_TEXT, shape=_list({"type": "integer"}))
    return {
        "Error": _object(error=_TEXT),
        "Models": _object(models=_list(model)),
        "Metadata": _object(
            name=_TEXT,
            versions=_list(_TEXT),
            platform=_TEXT,
            inputs=_list(metadata),
            outputs=_list(metadata),
        ),
        "Inputs": {
            "description": 'A list of inputs, or {"inputs": [...]}: pixels or {"b64": ...}, rows as objects, '
            "texts, the last rows of a series.",
        },
        "Answers": _object(
            model=_TEXT,
            version=_TEXT,
            predictions=_list(prediction),
            promise=_TEXT,
            notes=_list(_TEXT),
        ),
        "Explanation": _object(
            model=_TEXT,
            version=_TEXT,
            method=_TEXT,
            about=_TEXT,
            limits=_list(_TEXT),
            rows=_list(reasons),
            notes=_list(_TEXT),
        ),
        "Prompt": _object(
            prompt={"type": "string", "default": ""},
            length={"type": "integer", "minimum": 1, "maximum": limits.tokens, "default": 200},
            temperature={"type": "number", "minimum": 0, "default": 1},
            top_k={"type": ["integer", "null"], "minimum": 1},
            top_p={"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
            seed={"type": "integer", "minimum": 0, "default": 0},
        ),
        "Text": _object(model=_TEXT, version=_TEXT, text=_TEXT),
        "Instances": _object(instances=_list(_ANY), inputs=_ANY, signature_name=_TEXT),
        "Outputs": _object(predictions=_list(_ANY), outputs=_list(_ANY), notes=_list(_TEXT)),
        "Tensors": _object(
            id=_TEXT,
            model_name=_TEXT,
            model_version=_TEXT,
            inputs=_list(tensor),
            outputs=_list(tensor),
            parameters={"type": "object"},
        ),
    }


def _get(summary: str, name: str, schema: JsonObject) -> JsonObject:
    return {"get": _operation(summary, {_JSON: schema}, f"get{name}")}


def _post(
    summary: str, name: str, request_types: JsonObject, response_types: JsonObject
) -> JsonObject:
    body = {
        "required": True,
        "content": {media: {"schema": schema} for media, schema in request_types.items()},
    }
    return {"post": _operation(summary, response_types, name) | {"requestBody": body}}


def _operation(summary: str, response_types: JsonObject, name: str) -> JsonObject:
    content = {media: {"schema": schema} for media, schema in response_types.items()}
    return {
        "summary": summary,
        "operationId": name,
        "responses": {
            "200": {"description": "Success.", "content": content},
            "4XX": {"$ref": "#/components/responses/Refused"},
            "5XX": {"$ref": "#/components/responses/Refused"},
        },
    }


def _parameter(name: str) -> JsonObject:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _object(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": properties}


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


def _file() -> JsonObject:
    return {"type": "string", "contentMediaType": "application/octet-stream"}


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}
