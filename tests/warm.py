"""A Python that has imported Keras already: children of tests, and xdist's processes, begin at once instead of after
five seconds.

`python warm.py SOCKET` is a server that imports the modules which such children import, runs nothing of them, and forks
for each child. `warm_python` yields a program that can replace `sys.executable`: it hands its arguments, folder,
environment and open files over to the server, and ends as the forked process does, with its exit code or by its signal.
If the program is killed, so is the process. Its imports are those of the server, so this is not for tests of imports.
"""

import atexit
import gc
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import types
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

IMPORTS = ("keras", "pandas", "scipy.stats", "matplotlib.figure", "keras_tuner")
CLIENT = """
import json, os, signal, socket, sys
if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
words = [{program!r}, *sys.argv[1:]]
request = json.dumps(dict(words=words, folder=os.getcwd(), environment=dict(os.environ))).encode()
socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
server.sendall(request)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: server.send(bytes([number])))
code = int(server.recv(16) or b"1")
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@contextmanager
def warm_python():
    """Yield the path of a program like `sys.executable` that begins warm, where this system can."""
    if not hasattr(os, "pidfd_open"):
        yield sys.executable
        return
    with tempfile.TemporaryDirectory() as folder:
        address, program = Path(folder) / "socket", Path(folder) / "python"
        client = CLIENT.format(python=sys.executable, address=str(address), program=str(program))
        (Path(folder) / "client.py").write_text(client)
        program.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {folder}/client.py "$@"\n'
        )
        program.chmod(0o755)
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        # pandas imports pyarrow where it is installed
        environment["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
        words = [sys.executable, "-I", __file__, address]
        errors = Path(folder) / "errors"
        with open(errors, "wb") as file:
            server = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment,
                start_new_session=True,  # Ctrl-C is for its clients, which pass it on
            )
        try:
            assert server.stdout.readline() == b"warm\n", errors.read_text()
            yield str(program)
        finally:
            server.stdin.close()  # which ends it
            server.wait()
            server.stdout.close()


class WarmSys:
    """`sys` for modules of kzoo that start Python processes: these begin warm.

    Args:
        program: returns the path of the warm Python. Where a test has changed `sys.executable`, that is used.
    """

    def __init__(self, program):
        self._program = program
        self._cold = sys.executable

    def __getattr__(self, name):
        return getattr(sys, name)

    @property
    def executable(self):
        return self._program() if sys.executable == self._cold else sys.executable


def serve(address):
    """Fork a process for every client, until the standard input ends."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    gc.disable()  # which would look through all of it, again and again, and in each child
    for name in IMPORTS:
        __import__(name)
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)  # as in conftest.py
    gc.enable()
    assert len(os.listdir("/proc/self/task")) == 1, (
        "only a process with a single thread can be forked"
    )
    print("warm", flush=True)
    while True:
        ready, _, _ = select.select([listening, 0], [], [])
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if 0 in ready:
            return
        client, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            attend(client)
        client.close()


def attend(client):
    """Fork the requested process, and pass signals to it and its exit code back."""
    size, files, _, _ = socket.recv_fds(client, 8, 3)
    request = json.loads(client.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        client.close()
        become(files, **request)
    for file in (*files, 0, 1):  # or nobody would see the end of a pipe
        os.close(file)
    end = os.pidfd_open(child)
    while True:
        ready, _, _ = select.select([end, client], [], [])
        if end in ready:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            with suppress(OSError):
                client.send(str(code).encode())
            os._exit(0)
        message = client.recv(1)
        os.kill(child, message[0] if message else signal.SIGKILL)


def become(files, words, folder, environment):
    """Be the Python that these words start."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # The old ones may have been read from, and have the encoding of another environment.
    text = dict(encoding="utf-8", closefd=False)
    sys.stdin = sys.__stdin__ = open(0, **text)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", **text)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", errors="backslashreplace", buffering=1, **text)  # noqa: SIM115
    code = 1
    try:
        run(*words)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        with suppress(BaseException):
            threading._shutdown()
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def run(program, *words):
    """Run `[-u] [-I] [-P] [-W ignore] -c CODE | -m MODULE | SCRIPT`, with the arguments that follow."""
    words = list(words)
    isolated = False
    safe = False
    while words[0] in ("-u", "-I", "-P", "-W"):
        option = words.pop(0)
        isolated = isolated or option == "-I"
        safe = safe or option in ("-I", "-P")
        if option == "-W":
            warnings.simplefilter(words.pop(0))
    sys.executable = program
    path = [] if isolated else os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [os.path.abspath(entry) for entry in path if entry]
    main = types.ModuleType("__main__")
    if words[0] == "-c":
        sys.path[:0] = [] if safe else [""]
        sys.argv = ["-c", *words[2:]]
        sys.modules["__main__"] = main
        exec(compile(words[1], "<string>", "exec"), main.__dict__)
    elif words[0] == "-m":
        sys.path[:0] = [] if safe else [os.getcwd()]
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[:0] = [] if safe else [os.path.dirname(os.path.abspath(words[0]))]
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    try:
        serve(sys.argv[1])
    except Exception:
        traceback.print_exc()
        os._exit(1)
