"""Addresses, and what lies at each."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

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
from kzoo.serve.service import Service
from kzoo.utils.errors import KzooError, KzooWarning

PAGE = Path(__file__).parent / "page"
_LOOK = 1.0  # seconds between two looks at the folders
_PROBES = ("/v2/health/live", "/v2/health/ready")
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",  # what models are called is never taken for HTML
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def make_app(
    exported: Sequence[str], *, format: str | None = None, threads: int = 1, token: str | None = None,
    hosts: Collection[str] | None = None, limits: Limits | None = None, log: Log | None = None,
) -> Middleware:  # fmt: skip
    """Return an ASGI application that answers with exported models.

    Args:
        exported: their folders, or `NAME=FOLDER`.
        format: which of their files to run; see `kzoo.runtime.load`.
        threads: that compute the answers of a model.
        token: that requests must bring, as `Authorization: Bearer TOKEN`; by default none.
        hosts: names beside this machine's own by which requests may call the server; by default any name.
        limits: how much is taken.
        log: what lines are written with; by default to stderr.

    Raises:
        KzooError: no exported model, one that is damaged, or two of one name.
    """
    limits, log, counted = limits or Limits(), log or Log(), Metrics()
    shelf = open_repository(exported, format=format, threads=threads, limits=limits, done=counted.batch, tell=log)
    service = Service(shelf, limits)
    app = Starlette(
        routes=_routes(service, counted),
        lifespan=partial(_life, service, log),
        exception_handlers={
            KzooError: _as_refusal, Refused: _as_refusal, HTTPException: _as_refusal, Exception: _as_refusal
        },
        max_body_size=limits.body,
    )  # fmt: skip
    app.router.redirect_slashes = False  # there is one address for everything
    page = frozenset(f"/{file.name}" for file in PAGE.glob("*")) | {"/"}
    open_to_all = page | {*_PROBES}
    return Middleware(app, token=token, open_to_all=open_to_all, hosts=hosts, limits=limits, metrics=counted, log=log)


@asynccontextmanager
async def _life(service: Service, log: Log, app: ASGIApp) -> AsyncIterator[None]:
    """Look at the folders from time to time, and keep what is warned of for the answer to the request."""
    task = asyncio.create_task(_looking(service.shelf, log))
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Any, category: Any, *rest: Any, **more: Any) -> None:
            notes = NOTES.get(None)
            if issubclass(category, KzooWarning) and notes is not None:
                notes.append(str(message))
            else:
                others(message, category, *rest, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", KzooWarning)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            service.close()


async def _looking(shelf: ModelRepository, log: Log) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        for model in shelf.models.values():
            try:
                await model.look_again()
            except Exception as error:  # whatever it is, the next look may go well
                log("fault", model=model.name, error=f"{type(error).__name__}: {error}")


async def _as_refusal(request: Request, error: Exception) -> Response:
    """Answer an error with one line of JSON."""
    if isinstance(error, Refused):
        no = error
    elif isinstance(error, KzooError):
        no = Refused(400, str(error))
    elif isinstance(error, HTTPException):  # Starlette's own: no such address, another method, too large a body
        says = {404: "There is nothing at this address; GET /openapi.json lists what there is."}
        why = says.get(error.status_code) or f"{error.detail or HTTPStatus(error.status_code).phrase}."
        # What is left of a body that is too large is not waited for.
        headers = {"Connection": "close"} if error.status_code == 413 else {}
        no = Refused(error.status_code, why, headers | dict(error.headers or {}))
    else:
        no = Refused(500, "A fault of kzoo; the server's log has it under the id of this request.")
    return refusal(no, request.scope.get("kzoo", {}))


def _json(data: Any, status: int = 200) -> Response:
    return Response(as_json(data), status, media_type=JSON)


def _routes(service: Service, counted: Metrics) -> list[BaseRoute]:
    shelf = service.shelf

    def told(tell: Callable[[Any, Version], Any]) -> Callable[[Request], Any]:
        """Return the endpoint of what is said of a model, or of one version of it."""

        async def endpoint(request: Request) -> Response:
            shelved = shelf[request.path_params["name"]]
            request.scope["kzoo"]["model"] = shelved.name
            said = tell(shelved, shelved.version(request.path_params.get("version")))
            return _json(said, 503 if said.get("ready") is False else 200)

        return endpoint

    def always(data: Callable[[], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return _json(data())

        return endpoint

    async def measured(request: Request) -> Response:
        waiting = {model.name: model.waiting for model in shelf.models.values()}
        versions = {
            model.name: {str(n): v.is_open for n, v in sorted(model.versions.items())}
            for model in shelf.models.values()
        }
        return Response(counted.text(waiting, versions), media_type=metrics.MEDIA)

    def numbers(shelved: Any) -> list[str]:
        return [str(number) for number in sorted(shelved.versions)]

    def kserve_metadata(shelved: Any, version: Version) -> Any:
        return kserve.metadata(shelved.name, numbers(shelved), version.manifest, version.format)

    def status(shelved: Any, version: Version) -> Any:
        return tensorflow.status([(str(version), not version.broken)])

    def statuses(shelved: Any, version: Version) -> Any:
        newest_first = sorted(shelved.versions.items(), reverse=True)
        return tensorflow.status([(str(number), not one.broken) for number, one in newest_first])

    models, kserved = "/v1/models/{name}", "/v2/models/{name}"
    post = ["POST"]
    routes: list[BaseRoute] = []
    one = "/versions/{version}"
    for model, v2, said in ((models, kserved, statuses), (f"{models}{one}", f"{kserved}{one}", status)):
        routes += [
            Route(f"{model}:predict", service.answering(tensorflow.read), methods=post),
            Route(f"{v2}/infer", service.answering(kserve.read), methods=post),
            Route(f"{model}/answer", service.answering(raw.read), methods=post),
            Route(model, told(said)),
            Route(f"{model}/metadata", told(lambda s, v: tensorflow.metadata(s.name, str(v), v.manifest))),
            Route(f"{model}/about", told(model_facts)),
            Route(v2, told(kserve_metadata)),
            Route(f"{v2}/ready", told(lambda s, v: {"name": s.name, "ready": not v.broken})),
        ]
    return [
        *routes,
        Route("/v1/models", always(lambda: {"models": [list_entry(model) for model in shelf.models.values()]})),
        Route("/v2", always(kserve.server)),
        Route(_PROBES[0], always(lambda: {"live": True})),
        Route(_PROBES[1], always(lambda: {"ready": True})),
        Route("/metrics", measured),
        Route("/openapi.json", always(lambda: document(service.limits))),
        *_page(),
    ]


def _page() -> list[BaseRoute]:
    """Return the routes of the page's files."""
    files = StaticFiles(directory=PAGE)

    def endpoint(name: str) -> Callable[[Request], Any]:
        async def send(request: Request) -> Response:
            response = await files.get_response(name, request.scope)
            response.headers.update(_PAGE_HEADERS)
            return response

        return send

    named = [Route(f"/{file.name}", endpoint(file.name)) for file in sorted(PAGE.glob("*"))]
    return [Route("/", endpoint("index.html")), *named]
