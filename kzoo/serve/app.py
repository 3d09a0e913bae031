"""The ASGI application: its routes and their endpoints."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from kzoo.serve import kserve, metrics, raw, tensorflow
from kzoo.serve.codecs import JSON, NOTES, as_json
from kzoo.serve.limits import Limits, Refused
from kzoo.serve.log import Log
from kzoo.serve.metrics import Metrics
from kzoo.serve.middleware import Middleware, refusal
from kzoo.serve.model_facts import list_entry, model_facts
from kzoo.serve.model_repository import ModelRepository, Version, open_repository
from kzoo.serve.openapi import document
from kzoo.serve.service import FAULT, Service
from kzoo.utils.errors import KzooError, KzooWarning

if TYPE_CHECKING:
    from kzoo.serve.model_repository import ServedModel


PAGE = Path(__file__).parent / "page"
_REFRESH_SECONDS = 1.0  # between two checks of the model folders for new versions
_PROBES = ("/v2/health/live", "/v2/health/ready")
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # names of models are never interpreted as HTML
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def make_app(
    exported: Sequence[str],
    *,
    format: str | None = None,
    threads: int = 1,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    limits: Limits | None = None,
    log: Log | None = None,
) -> Middleware:
    """Return an ASGI application that serves exported models.

    Args:
        exported: folders of exported models, or `NAME=FOLDER`.
        format: the exported file to run; see `kzoo.runtime.load`.
        threads: number of threads per model.
        token: bearer token that requests must send (`Authorization: Bearer TOKEN`); by default none.
        hosts: accepted host names in addition to those of this machine; by default any name is accepted.
        limits: limits of requests.
        log: writer of log lines; by default to stderr.

    Raises:
        KzooError: not an exported model, a damaged one, or two models of the same name.
    """
    limits = limits or Limits()
    log = log or Log()
    counters = Metrics()
    repository = open_repository(
        exported, format=format, threads=threads, limits=limits, on_batch=counters.batch, log=log
    )
    service = Service(repository, limits)
    app = Starlette(
        routes=_routes(service, counters),
        lifespan=partial(_lifespan, service, log),
        exception_handlers={
            KzooError: _to_response,
            Refused: _to_response,
            HTTPException: _to_response,
            Exception: _to_response,
        },
        max_body_size=limits.body,
    )
    app.router.redirect_slashes = False  # each resource has exactly one address
    page = frozenset(f"/{file.name}" for file in PAGE.glob("*")) | {"/"}
    open_to_all = page | {*_PROBES}
    return Middleware(
        app,
        token=token,
        open_to_all=open_to_all,
        hosts=hosts,
        limits=limits,
        metrics=counters,
        log=log,
    )


@asynccontextmanager
async def _lifespan(service: Service, log: Log, app: ASGIApp) -> AsyncIterator[None]:
    """Refresh the model folders periodically, and collect kzoo warnings as notes of the current request."""
    task = asyncio.create_task(_watch_folders(service.repository, log))
    with warnings.catch_warnings():
        show_other = warnings.showwarning

        def show_warning(
            message: Warning | str, category: type[Warning], *arguments: Any, **options: Any
        ) -> None:
            notes = NOTES.get(None)
            if issubclass(category, KzooWarning) and notes is not None:
                notes.append(str(message))
            else:
                show_other(message, category, *arguments, **options)

        warnings.showwarning = show_warning
        warnings.simplefilter("always", KzooWarning)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            service.close()


async def _watch_folders(repository: ModelRepository, log: Log) -> None:
    while True:
        await asyncio.sleep(_REFRESH_SECONDS)
        for model in repository.models.values():
            try:
                await model.refresh()
            except Exception as error:  # any error: the next refresh may succeed
                log("fault", model=model.name, error=f"{type(error).__name__}: {error}")


async def _to_response(request: Request, error: Exception) -> Response:
    """Return the response to an error: one line of JSON."""
    if isinstance(error, Refused):
        refused = error
    elif isinstance(error, KzooError):
        refused = Refused(400, str(error))
    elif isinstance(
        error, HTTPException
    ):  # from Starlette: unknown path, wrong method, body too large
        messages = {404: "Unknown path. GET /openapi.json lists all paths."}
        message = (
            messages.get(error.status_code)
            or f"{error.detail or HTTPStatus(error.status_code).phrase}."
        )
        # Close the connection instead of waiting for the rest of a body that is too large.
        headers = {"Connection": "close"} if error.status_code == 413 else {}
        refused = Refused(error.status_code, message, headers | dict(error.headers or {}))
    else:
        refused = Refused(500, FAULT)
    return refusal(refused, request.scope.get("kzoo", {}))


def _json(data: object, status: int = 200) -> Response:
    return Response(as_json(data), status, media_type=JSON)


def _routes(service: Service, counters: Metrics) -> list[BaseRoute]:
    repository = service.repository

    def describing(describe: Callable[[Any, Version], Any]) -> Callable[[Request], Any]:
        """Return the endpoint that describes a model, or one of its versions, by a function of both."""

        async def endpoint(request: Request) -> Response:
            model = repository[request.path_params["name"]]
            request.scope["kzoo"]["model"] = model.name
            description = describe(model, model.version(request.path_params.get("version")))
            return _json(description, 503 if description.get("ready") is False else 200)

        return endpoint

    def fixed(content: Callable[[], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return _json(content())

        return endpoint

    async def metrics_endpoint(request: Request) -> Response:
        waiting = {model.name: model.waiting for model in repository.models.values()}
        versions = {
            model.name: {str(n): v.is_open for n, v in sorted(model.versions.items())}
            for model in repository.models.values()
        }
        return Response(counters.text(waiting, versions), media_type=metrics.MEDIA)

    def version_numbers(model: "ServedModel") -> list[str]:
        return [str(number) for number in sorted(model.versions)]

    def kserve_metadata(model: "ServedModel", version: Version) -> object:
        return kserve.metadata(model.name, version_numbers(model), version.manifest, version.format)

    def status(model: "ServedModel", version: Version) -> object:
        return tensorflow.status([(str(version), not version.broken)])

    def statuses(model: "ServedModel", version: Version) -> object:
        newest_first = sorted(model.versions.items(), reverse=True)
        return tensorflow.status(
            [(str(number), not version.broken) for number, version in newest_first]
        )

    v1_path, v2_path = "/v1/models/{name}", "/v2/models/{name}"
    post = ["POST"]
    routes: list[BaseRoute] = []
    suffix = "/versions/{version}"
    for model, v2, state in (
        (v1_path, v2_path, statuses),
        (f"{v1_path}{suffix}", f"{v2_path}{suffix}", status),
    ):
        routes += [
            Route(f"{model}:predict", service.endpoint_of(tensorflow.read), methods=post),
            Route(f"{v2}/infer", service.endpoint_of(kserve.read), methods=post),
            Route(f"{model}/generate", service.generation_endpoint(), methods=post),
            Route(f"{model}/explain", service.explanation_endpoint(), methods=post),
            Route(f"{model}/answer", service.endpoint_of(raw.read), methods=post),
            Route(model, describing(state)),
            Route(
                f"{model}/metadata",
                describing(lambda m, v: tensorflow.metadata(m.name, str(v), v.manifest)),
            ),
            Route(f"{model}/about", describing(model_facts)),
            Route(v2, describing(kserve_metadata)),
            Route(f"{v2}/ready", describing(lambda m, v: {"name": m.name, "ready": not v.broken})),
        ]
    return [
        *routes,
        Route(
            "/v1/models",
            fixed(lambda: {"models": [list_entry(model) for model in repository.models.values()]}),
        ),
        Route("/v2", fixed(kserve.server)),
        Route(_PROBES[0], fixed(lambda: {"live": True})),
        Route(_PROBES[1], fixed(lambda: {"ready": True})),
        Route("/metrics", metrics_endpoint),
        Route("/openapi.json", fixed(lambda: document(service.limits))),
        *_page(),
    ]


def _page() -> list[BaseRoute]:
    """Return the routes of the files of the web page."""
    files = StaticFiles(directory=PAGE)

    def endpoint(name: str) -> Callable[[Request], Any]:
        async def send(request: Request) -> Response:
            response = await files.get_response(name, request.scope)
            response.headers.update(_PAGE_HEADERS)
            return response

        return send

    named = [Route(f"/{file.name}", endpoint(file.name)) for file in sorted(PAGE.glob("*"))]
    return [Route("/", endpoint("index.html")), *named]
