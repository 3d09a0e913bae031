"""A Dask cluster: the address of its scheduler in, a `concurrent.futures.Executor` out. Needs `kzoo[dask]`."""

import logging
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from urllib.parse import urlsplit

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.utils.optional import require

_LOCAL = ("localhost", "::1")
_PATIENCE = 10  # seconds for the scheduler to answer


def check_address(address: str):
    """Refuse what is no address of a scheduler; needs no Dask.

    Raises:
        KzooError: neither tcp:// nor tls://, or without a port.
    """
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port is not None
    except ValueError:
        valid = False
    if not valid:
        raise KzooError(
            f"--scheduler {address}: write tcp://HOST:PORT or tls://HOST:PORT, as `dask scheduler` says it."
        )


@contextmanager
def executor_at(address: str) -> Iterator[Executor]:
    """Lend the workers of a scheduler.

    Each trial takes a GPU where workers say that they have some (`dask worker --resources GPU=1`). A trial whose worker
    dies is trained by another; after the fourth death it has failed (Dask's `distributed.scheduler.allowed-failures`).
    Certificates of tls:// are those of Dask's configuration.

    Args:
        address: tcp://HOST:PORT or tls://HOST:PORT.

    Raises:
        KzooError: no scheduler there that lets us in.
    """
    distributed = require("distributed", extra="dask")
    host = urlsplit(address).hostname or ""
    if address.startswith("tcp:") and not (host in _LOCAL or host.startswith("127.")):
        print(
            f"{address} is neither encrypted nor guarded: whoever reaches it runs code there. Use tls:// beyond a "
            f"network of your own.", file=sys.stderr,
        )  # fmt: skip
    if address.startswith("tls:") and distributed.Security().get_connection_args("client")["ssl_context"] is None:
        raise KzooError(
            f"--scheduler {address}: no scheduler lets us in without certificates, and Dask's configuration names none "
            f"(distributed.comm.tls: ca-file, client.cert, client.key)."
        )
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is said below, or by a trial
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except Exception as error:  # of connections, of certificates: Dask's, Tornado's, OpenSSL's
        raise KzooError(
            f"--scheduler {address}: no scheduler lets us in ({type(error).__name__}: {first_line(error)})."
        ) from None
    with client, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)  # once for each process
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        gpus = any(worker.get("resources", {}).get("GPU") for worker in workers)
        yield client.get_executor(pure=False, **({"resources": {"GPU": 1}} if gpus else {}))
