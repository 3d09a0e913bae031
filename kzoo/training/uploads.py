"""`kzoo.train(out="s3://...")`: the run is written here, and uploaded."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec

from kzoo.utils.address import is_remote_address
from kzoo.zoo.run import Run

_P = ParamSpec("_P")


def with_uploaded_run(train: Callable[_P, Run]) -> Callable[_P, Run]:
    """Decorate a function that trains a run into `out`, which may then be an address."""

    @wraps(train)
    def trained(*arguments: _P.args, **options: _P.kwargs) -> Run:
        out: Any = options.get("out")
        if not is_remote_address(out):
            return train(*arguments, **options)
        runs = import_module("kzoo.zoo.uploaded")
        with runs.uploaded_run(out, overwrite=bool(options.get("overwrite"))) as target:
            options["out"] = target.folder
            run = train(*arguments, **options)
        return Run(target.result, trusted=run.trusted)

    trained.takes_addresses = ("out",)  # type: ignore[attr-defined]
    return trained
