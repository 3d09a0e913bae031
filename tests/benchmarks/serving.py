"""`kzoo serve` compared with FastAPI and LitServe, and under overload.

    python tests/benchmarks/serving.py peers EXPORTED --seconds 60 --turns 2
    python tests/benchmarks/serving.py memory EXPORTED --requests 500000
    python tests/benchmarks/serving.py overload EXPORTED --seconds 60
    python tests/benchmarks/serving.py changes EXPORTED

Each command prints lines of JSON. Processor time is that of the server processes, from /proc; clients run in a separate
process. `peers` alternates in one run: the same model in programs as in the first pages of the FastAPI and LitServe
documentation, with one `predict` per request.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
FASTAPI = """
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
import kzoo.runtime

app = FastAPI()
model = kzoo.runtime.load({exported!r})


class Request(BaseModel):
    instances: list


@app.post("/predict")
def predict(request: Request):
    said = model.predict(np.array(request.instances, "float32"))
    return {{"predictions": said.probabilities.tolist()}}


if __name__ == "__main__":
    import uvicorn
    uvicorn.run(app, port={port})
"""
LITSERVE = """
import litserve
import numpy as np
import kzoo.runtime


class API(litserve.LitAPI):
    def setup(self, device):
        self.model = kzoo.runtime.load({exported!r})

    def decode_request(self, request):
        return np.array(request["instances"], "float32")

    def predict(self, x):
        return self.model.predict(x).probabilities

    def encode_response(self, output):
        return {{"predictions": output.tolist()}}


if __name__ == "__main__":
    litserve.LitServer(API(), accelerator="cpu").run(port={port}, generate_client_file=False)
"""
X = [[[[float(i * j % 17)] for j in range(8)] for i in range(8)]]


def tree(pid):
    """Return a process and all its descendants."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                found += map(int, Path(f"/proc/{one}/task/{task}/children").read_text().split())
    return found


def seconds_of(pid):
    """Return the processor time of a process and its descendants."""
    spent = 0
    for one in tree(pid):
        with suppress(OSError):
            words = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            spent += int(words[11]) + int(words[12])
    return spent / os.sysconf("SC_CLK_TCK")


def memory_of(pid):
    """Return the memory in MiB."""
    pages = 0
    for one in tree(pid):
        with suppress(OSError):
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def serving(code, port, log):
    """Run a server until the block ends."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = (
        [sys.executable, "-m", "kzoo", *code] if isinstance(code, list) else [sys.executable, code]
    )
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.1)
        time.sleep(1)
        yield process
    finally:
        for one in reversed(tree(process.pid)):  # LitServe's own children do not all end with it
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGTERM if one == process.pid else signal.SIGKILL)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def say(**found):
    print(json.dumps(found), flush=True)


def kzoo_serve(exported, port):
    return ["serve", str(exported), "--port", str(port)]


def ask(port, path, **options):
    """Send requests from a separate process, and return its results."""
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, __file__, "client", path, f"--port={port}", *words]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class Client:
    """A persistent connection, which reconnects when the server closes it.

    A request is lost if it was sent and neither answered nor refused by the system. It is not lost if a kept connection
    is reset before any part of the response, and a new connection then serves it.
    """

    def __init__(self, port, path, found):
        body = json.dumps({"instances": X}).encode()
        self.port = port
        self.found = found
        self.streams = None
        self.request = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    async def once(self):
        began = time.perf_counter()
        try:
            if self.streams is None:
                self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            self.found.append((time.time(), 0.0, "unreachable"))
            await asyncio.sleep(0.05)
            return
        reader, writer = self.streams
        try:
            writer.write(self.request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(int(length[15:]))
            self.found.append((time.time(), time.perf_counter() - began, head[9:12].decode()))
            if b"connection: close" in head.lower():
                self.close()
        except (OSError, asyncio.IncompleteReadError) as error:
            self.found.append(
                (time.time(), time.perf_counter() - began, f"lost: {type(error).__name__}")
            )
            self.close()

    def close(self):
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None


async def client(args):
    """Send requests in a loop from `clients`, or at a fixed `rate`; print counts, times and events."""
    found = []
    until = time.monotonic() + args.seconds
    clients = [Client(args.port, args.path, found) for _ in range(args.clients)]

    async def circle(one):
        while time.monotonic() < until and (not args.requests or len(found) < args.requests):
            await one.once()

    if not args.rate:
        await asyncio.gather(*map(circle, clients))
    else:  # an open loop: a free connection takes the next request when it is due
        free = asyncio.Queue()
        going = set()
        due = time.monotonic()
        for one in clients:
            free.put_nowait(one)

        async def take(one):
            await one.once()
            free.put_nowait(one)

        skipped = 0
        while time.monotonic() < until:
            due += 1 / args.rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if free.empty():
                skipped += 1  # all connections wait: the load is what they can carry
                await asyncio.sleep(0)
                continue
            task = asyncio.create_task(take(free.get_nowait()))
            going.add(task)
            task.add_done_callback(going.discard)
        await asyncio.gather(*going)
    counts = {}
    times = sorted(spent for _, spent, what in found if what == "200")
    for _, _, what in found:
        counts[what] = counts.get(what, 0) + 1
    at = lambda share: round(1e3 * times[int(share * (len(times) - 1))], 2) if times else None  # noqa: E731
    last = max((when for when, _, what in found if what != "200"), default=None)
    say(counts=counts, p50_ms=at(0.5), p99_ms=at(0.99), last_other=last, ended=time.time())


def peers(args):
    """Alternate between the servers, and print the cost of a request for each."""
    home = Path(tempfile.mkdtemp())
    exported = str(args.exported.resolve())
    servers = {}
    for name, code in (("kzoo serve", None), ("FastAPI", FASTAPI), ("LitServe", LITSERVE)):
        port = free_port()
        file = home / f"{name.split()[0]}.py"
        if code:
            file.write_text(code.format(exported=exported, port=port))
        path = f"/v1/models/{args.exported.resolve().name}:predict" if code is None else "/predict"
        servers[name] = (kzoo_serve(exported, port) if code is None else file, port, path)
    for turn in range(args.turns):
        for name, (code, port, path) in servers.items():
            with serving(code, port, home / "log") as process:
                ask(port, path, seconds=1, clients=args.clients)
                before = seconds_of(process.pid)
                began = time.monotonic()
                said = ask(port, path, seconds=args.seconds, clients=args.clients)
                spent = seconds_of(process.pid) - before
                wall = time.monotonic() - began
                count = said["counts"].get("200", 0)
                say(
                    server=name,
                    turn=turn,
                    requests=count,
                    errors=sum(said["counts"].values()) - count,
                    per_cpu_second=round(count / spent),
                    cpu_ms=round(1e3 * spent / count, 3),
                    per_second=round(count / wall),
                    p50_ms=said["p50_ms"],
                    p99_ms=said["p99_ms"],
                    mib=round(memory_of(process.pid)),
                    processes=len(tree(process.pid)),
                )


def memory(args):
    """Print the memory after each tenth of the requests."""
    port = free_port()
    name = args.exported.resolve().name
    with serving(kzoo_serve(args.exported, port), port, os.devnull) as process:
        total = 0
        while total < args.requests:
            said = ask(
                port,
                f"/v1/models/{name}:predict",
                seconds=600,
                clients=args.clients,
                requests=args.requests // 10,
            )
            total += said["counts"]["200"]
            say(requests=total, counts=said["counts"], mib=round(memory_of(process.pid), 1))


def overload(args):
    """Find the maximum load, send four times as much, and measure how soon the server recovers."""
    port = free_port()
    name = args.exported.resolve().name
    path = f"/v1/models/{name}:predict"
    with serving(kzoo_serve(args.exported, port), port, os.devnull) as process:
        ask(port, path, seconds=1, clients=args.clients)
        said = ask(port, path, seconds=10, clients=args.clients)
        carried = said["counts"]["200"] / 10
        say(carried_per_second=round(carried), p99_ms=said["p99_ms"])
        flood = ask(port, path, seconds=args.seconds, clients=450, rate=4 * carried)
        say(asked_per_second=round(4 * carried), **flood, mib=round(memory_of(process.pid)))
        after = ask(port, path, seconds=5, clients=args.clients)
        late = (after["last_other"] or flood["ended"]) - flood["ended"]
        say(after=after, other_than_200_until_s=round(late, 2))


def changes(args):
    """Add a new version and a broken one, and stop the server, all under load; print the lost requests."""
    home = Path(tempfile.mkdtemp())
    port = free_port()
    model = home / "m"
    shutil.copytree(args.exported, model / "1")
    log = home / "log"
    with serving(["serve", str(model), "--port", str(port)], port, log) as process:
        command = [
            sys.executable,
            __file__,
            "client",
            "/v1/models/m:predict",
            f"--port={port}",
            "--seconds=20",
            "--clients=32",
        ]
        asking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        shutil.copytree(args.exported, model / "2")
        time.sleep(4)
        shutil.copytree(args.exported, model / "3")
        with open(model / "3" / "onnx" / "model.onnx", "ab") as file:
            file.write(b"broken")
        time.sleep(6)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        said = json.loads(asking.communicate()[0])
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    answered = sum(line["event"] == "request" and line["status"] == 200 for line in lines)
    events = [(line["event"], line.get("version")) for line in lines if line["event"] != "request"]
    say(client=said["counts"], server_answered=answered, exit_code=code, events=events)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("peers", "memory", "overload", "changes", "client"))
    parser.add_argument("exported", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    args.path = str(args.exported)
    if args.what == "client":
        asyncio.run(client(args))
    else:
        {"peers": peers, "memory": memory, "overload": overload, "changes": changes}[args.what](
            args
        )


if __name__ == "__main__":
    main()
