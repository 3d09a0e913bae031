"""What the server answers, in OpenAPI's words. Standard library only."""

from kzoo.serve.limits import Limits


def document(limits: Limits) -> dict:
    return {}
