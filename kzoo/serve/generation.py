"""Continued texts: a request to a language model, and its response as JSON or as a stream of server-sent events."""

from kzoo.inference.kinds.text.generation import Generation
from kzoo.serve.codecs import ModelRequest, as_json
from kzoo.serve.limits import read_json
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, shown

EVENTS = "text/event-stream"
_KEYS = ("prompt", "length", "temperature", "top_k", "top_p", "seed")
# proxies must pass on each event at once
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def read(request: ModelRequest, most: int) -> Generation:
    """Return the text that a request asks to continue.

    Args:
        request: its body is `{"prompt": ..., "length": ...}` with the arguments of `kzoo.generate`.
        most: largest number of tokens.

    Raises:
        KzooError: the request is malformed, asks for too many tokens, or the model is not a language model.
    """
    settings = read_json(request.body)
    if not isinstance(settings, dict):
        raise KzooError(
            'The request must be a JSON object such as {"prompt": "Once upon a time", "length": 200}.'
        )
    if unknown := next((key for key in settings if key not in _KEYS), None):
        raise KzooError(
            f"Unknown key {shown(unknown)}. {hint(unknown, _KEYS)}Keys: {', '.join(_KEYS)}.",
            value=unknown,
        )
    generation = request.model.generation(**({"prompt": ""} | settings))
    if generation.sampling.length > most:
        raise KzooError(
            f"is above the limit of this server, {most:,} tokens. Send a smaller "
            "length, and continue the result.",
            argument="length",
            value=generation.sampling.length,
        )
    return generation


def wants_events(request: ModelRequest) -> bool:
    """Return True if a request accepts a stream of events."""
    return EVENTS in request.header.get("accept", "")


def event(data: object, name: str = "") -> bytes:
    """Return a server-sent event with JSON data; without a name it is a `message`."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + as_json(data) + b"\n\n"
