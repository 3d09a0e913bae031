"""A Dask cluster by the address of its scheduler: a client, or a `concurrent.futures.Executor`. Needs `kzoo[dask]`."""

import logging
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.utils.optional import require

_LOCAL = ("localhost", "::1")
_PATIENCE = 10  # seconds to wait for the scheduler


def check_address(address: str) -> None:
    """Check the address of a Dask scheduler (`--scheduler`) without importing Dask.

    Raises:
        KzooError: it is neither tcp:// nor tls://, or has no port.
    """
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port is not None
    except ValueError:
        valid = False
    if not valid:
        raise KzooError(
            f"--scheduler {address} is invalid. Use tcp://HOST:PORT or tls://HOST:PORT, as printed by `dask scheduler`."
        )


@contextmanager
def client_at(address: str) -> Iterator[Any]:
    """Yield a client of a scheduler.

    What a worker that dies was doing is done by another; after the fourth death it fails (Dask's
    `distributed.scheduler.allowed-failures`). The certificates for tls:// are those of Dask's configuration.

    Args:
        address: tcp://HOST:PORT or tls://HOST:PORT.

    Raises:
        KzooError: the connection fails, or certificates are missing.
    """
    distributed = require("distributed", extra="dask")
    host = urlsplit(address).hostname or ""
    if address.startswith("tcp:") and not (host in _LOCAL or host.startswith("127.")):
        print(
            f"{address} is neither encrypted nor authenticated: anyone who can connect can run code there. Use tls:// "
            f"outside of a private network.",
            file=sys.stderr,
        )
    if (
        address.startswith("tls:")
        and distributed.Security().get_connection_args("client")["ssl_context"] is None
    ):
        raise KzooError(
            f"--scheduler {address}: tls:// requires certificates, but Dask's configuration has none "
            f"(distributed.comm.tls: ca-file, client.cert, client.key)."
        )
    # errors are reported below, or by a trial
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except Exception as error:  # connection or certificate errors of Dask, Tornado or OpenSSL
        raise KzooError(
            f"--scheduler {address}: cannot connect to the scheduler ({type(error).__name__}: {first_line(error)})."
        ) from None
    with client, warnings.catch_warnings():
        # shown once for each process
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        yield client


@contextmanager
def executor_at(address: str) -> Iterator[Executor]:
    """Yield an executor for the workers of a scheduler; see `client_at`.

    Each trial takes a GPU if workers declare some (`dask worker --resources GPU=1`).

    Args:
        address: tcp://HOST:PORT or tls://HOST:PORT.

    Raises:
        KzooError: the connection fails, or certificates are missing.
    """
    with client_at(address) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        gpus = any(worker.get("resources", {}).get("GPU") for worker in workers)
        yield client.get_executor(pure=False, **({"resources": {"GPU": 1}} if gpus else {}))
