"""What the server answers, in OpenAPI's words. Standard library only."""

from typing import Any

from kzoo import __version__
from kzoo.serve.limits import Limits

_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_ANY: dict[str, Any] = {}
_JSON, _CSV = "application/json", "text/csv"


def document(limits: Limits) -> dict[str, Any]:
    """Return the description of all addresses.

    Args:
        limits: that the server keeps.
    """
    paths: dict[str, Any] = {
        "/v1/models": _get("List the models.", "Models", _ref("Models")),
        "/v2": _get("What the server is.", "Server", _object(name=_TEXT, version=_TEXT, extensions=_list(_TEXT))),
        "/v2/health/live": _get("Whether the server runs.", "Live", _object(live={"type": "boolean"})),
        "/v2/health/ready": _get("Whether the server answers.", "Ready", _object(ready={"type": "boolean"})),
        "/metrics": {"get": _operation("What the server has done, for Prometheus.", {"text/plain": _TEXT}, "metrics")},
        "/openapi.json": _get("This document.", "Document", {"type": "object"}),
    }
    for version in (False, True):
        paths |= _of_a_model(version)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kzoo serve",
            "version": __version__,
            "description": "Exported models. A request may have "
            f'{limits.body:,} bytes and {limits.rows:,} inputs; JSON holds no NaN. Errors are `{{"error": LINE}}`; '
            "503 with Retry-After says that a request was not accepted and may be sent again.",
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Refused": {"description": "One line that says why.", "content": {_JSON: {"schema": _ref("Error")}}}
            },
            "schemas": _schemas(),
        },
    }


def _of_a_model(version: bool) -> dict[str, Any]:
    """Return the addresses of a model, or of one version of it."""
    end, word = ("/versions/{version}", "Version") if version else ("", "")
    v1, v2 = f"/v1/models/{{name}}{end}", f"/v2/models/{{name}}{end}"
    parameters = [_parameter("name"), *([_parameter("version")] if version else [])]
    answers = {_JSON: _ref("Answers"), _CSV: _TEXT}
    raw = {
        _JSON: _ref("Inputs"), "image/*": _file(), _CSV: _TEXT, "text/plain": _TEXT,
        "multipart/form-data": _object(file=_file()),
    }  # fmt: skip
    top = {
        "name": "top", "in": "query", "description": "How many classes, the likeliest first.",
        "schema": {"type": "integer", "minimum": 1, "default": 20},
    }  # fmt: skip
    found = {
        f"{v1}/answer": _post("Answer raw inputs in words.", f"answer{word}", raw, answers) | {"parameters": [top]},
        f"{v1}:predict": _post(
            "Answer, as TensorFlow Serving does.", f"predict{word}", {_JSON: _ref("Instances")},
            {_JSON: _ref("Outputs")},
        ),
        f"{v2}/infer": _post(
            "Answer, as the Open Inference Protocol has it.", f"infer{word}",
            {_JSON: _ref("Tensors"), "application/octet-stream": _file()},
            {_JSON: _ref("Tensors"), "application/octet-stream": _file()},
        ),
        f"{v1}/about": _get("What it takes and answers, and how good it is.", f"About{word}", {"type": "object"}),
        v1: _get("Its status, as TensorFlow Serving has it.", f"Status{word}", {"type": "object"}),
        f"{v1}/metadata": _get("Its signature, as TensorFlow Serving has it.", f"Signature{word}", {"type": "object"}),
        v2: _get("Its tensors, as the Open Inference Protocol has them.", f"Tensors{word}", _ref("Metadata")),
        f"{v2}/ready": _get("Whether it answers.", f"ModelReady{word}", _object(name=_TEXT, ready={"type": "boolean"})),
    }  # fmt: skip
    return {path: said | {"parameters": [*parameters, *said.get("parameters", [])]} for path, said in found.items()}


def _schemas() -> dict[str, Any]:
    tensor = _object(
        name=_TEXT, datatype=_TEXT, shape=_list({"type": "integer"}), data=_list(_ANY), parameters={"type": "object"}
    )
    chosen = _object(label=_TEXT, probability=_NUMBER, score=_NUMBER)
    answer = _object(
        input=_ANY, label=_ANY, classes=_list(chosen), values=_ANY, targets=_list(_TEXT), times=_list(_TEXT),
        error=_TEXT,
    )  # fmt: skip
    one_model = _object(name=_TEXT, version=_TEXT, versions=_list(_TEXT), task=_ANY, input=_TEXT)
    described = _object(name=_TEXT, datatype=_TEXT, shape=_list({"type": "integer"}))
    return {
        "Error": _object(error=_TEXT),
        "Models": _object(models=_list(one_model)),
        "Metadata": _object(
            name=_TEXT, versions=_list(_TEXT), platform=_TEXT, inputs=_list(described), outputs=_list(described)
        ),
        "Inputs": {
            "description": "A list of inputs, or {\"inputs\": [...]}: pixels or {\"b64\": ...}, rows by column, texts, "
            "the last rows of a series.",
        },
        "Answers": _object(model=_TEXT, version=_TEXT, predictions=_list(answer), notes=_list(_TEXT)),
        "Instances": _object(instances=_list(_ANY), inputs=_ANY, signature_name=_TEXT),
        "Outputs": _object(predictions=_list(_ANY), outputs=_list(_ANY), notes=_list(_TEXT)),
        "Tensors": _object(
            id=_TEXT, model_name=_TEXT, model_version=_TEXT, inputs=_list(tensor), outputs=_list(tensor),
            parameters={"type": "object"},
        ),
    }  # fmt: skip


def _get(summary: str, name: str, schema: dict) -> dict[str, Any]:
    return {"get": _operation(summary, {_JSON: schema}, f"get{name}")}


def _post(summary: str, name: str, takes: dict[str, Any], gives: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": {media: {"schema": schema} for media, schema in takes.items()}}
    return {"post": _operation(summary, gives, name) | {"requestBody": body}}


def _operation(summary: str, gives: dict[str, Any], name: str) -> dict[str, Any]:
    content = {media: {"schema": schema} for media, schema in gives.items()}
    return {
        "summary": summary, "operationId": name,
        "responses": {
            "200": {"description": "The answer.", "content": content},
            "4XX": {"$ref": "#/components/responses/Refused"}, "5XX": {"$ref": "#/components/responses/Refused"},
        },
    }  # fmt: skip


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(of: dict) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _file() -> dict[str, Any]:
    return {"type": "string", "contentMediaType": "application/octet-stream"}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
