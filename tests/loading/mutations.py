"""Damages files at random, seeded, opens each by the doors that read it, and prints what went wrong, a JSON line each.

    python mutations.py WHAT FILE FOLDER FIRST LAST

damages FILE of FOLDER (a run, an exported model, or the folder of a `.keras` file) in the ways FIRST to LAST - 1. What
may come out of a door is an answer or a `KzooError`. A test starts this as a process of its own, whose memory is
bounded, and reads the last line: how many there were of each.
"""

import collections
import contextlib
import gc
import hashlib
import io
import json
import os
import random
import resource
import shutil
import sys
import time
import warnings
import zipfile
from copy import deepcopy
from functools import partial
from pathlib import Path

ROOM = 300  # mebibytes beyond what the undamaged files take
WEIRD = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    1.5,
    -0.0,
    1e308,
    10**30,
    2**31,
    2**63,
    "",
    "a",
    "x" * 500,
    "\x1b[31m",
    "\ud800",
    "nan",
    "../..",
    "None",
    "=1+1",
    [],
    [[]],
    [0],
    [None],
    ["a"],
    {},
    {"a": 1},
    [1, 2, 3],
    [[1.0, "b"]],
)


def damaged_bytes(content, random):
    """Return bytes with one to three changes: flipped, cut, filled, taken out, put in twice."""
    content = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not content:
            return b"x"
        place = random.randrange(len(content))
        length = random.choice((1, 1, 2, 4, 8, 64))
        how = random.randrange(7)
        if how == 0:
            content[place] ^= 1 << random.randrange(8)
        elif how == 1:
            content[place : place + length] = random.randbytes(length)
        elif how == 2:
            del content[place:]
        elif how == 3:
            del content[place : place + length]
        elif how == 4:
            content[place:place] = content[place : place + length]
        else:
            content[place : place + length] = bytes([random.choice((0, 1, 127, 128, 255))]) * length
    return bytes(content)


def damaged_tree(tree, random):
    """Change one to three values, keys or entries of plain data, in place; return it, or what replaces it."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        parts = list(_parts(tree))
        if not parts:
            return random.choice(WEIRD)
        holder, key = random.choice(parts)
        how = random.randrange(5)
        if how == 0:
            del holder[key]
        elif how == 1:
            other, place = random.choice(parts)
            with contextlib.suppress(LookupError):
                holder[key] = deepcopy(other[place])  # a part inside itself has no end
        elif how == 2 and isinstance(holder, dict):
            holder[random.choice(("a", str(key) + "_", "name", "config", "kind"))] = holder.pop(key)
        else:
            holder[key] = deepcopy(random.choice(WEIRD))
    return tree


def _parts(tree):
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        for key in (
            part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        ):
            yield part, key
            waiting.append(part[key])


def damaged_json(content, random):
    if random.random() < 0.3:
        return damaged_bytes(content, random)
    try:
        return json.dumps(damaged_tree(json.loads(content), random)).encode()
    except (ValueError, RecursionError):  # a part inside itself
        return b"[]"


def damaged_text(content, random):
    """Damage a file of rows: bytes, or cells."""
    if random.random() < 0.4:
        return damaged_bytes(content, random)
    rows = [line.split(",") for line in content.decode().splitlines()]
    for _ in range(random.choice((1, 2, 3))):
        row = random.choice(rows)
        if random.random() < 0.2 or not row:
            rows.remove(row) if len(rows) > 1 else row.append("x")
        else:
            row[random.randrange(len(row))] = str(random.choice(WEIRD))
    return "\n".join(map(",".join, rows)).encode("utf-8", "replace")


def damaged_zip(content, random):
    """Damage a `.keras` or `.npz` file: all its bytes, or one member in an archive that is otherwise whole."""
    if random.random() < 0.25:
        return damaged_bytes(content, random)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(parts))
    parts[name] = (damaged_json if name.endswith(".json") else damaged_bytes)(parts[name], random)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member, data in parts.items():
            archive.writestr(member, data)
    return out.getvalue()


DAMAGES = {".json": damaged_json, ".csv": damaged_text, ".keras": damaged_zip, ".npz": damaged_zip}


# --- the doors ------------------------------------------------------------------------------------------------------


def command(*words):
    from kzoo.cli import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main(words)
    # `check` exits with 1 for findings; an exception that kzoo did not expect does, too, and names --debug.
    if code not in (0, 2) and not (
        code == 1 and words[0] == "check" and "--debug" not in printed.getvalue()
    ):
        raise AssertionError(f"exit code {code}: {printed.getvalue()[-300:]}")


def refuse_other(folder, data):
    """Train another model into the folder of a run, which reads the run and refuses."""
    import kzoo

    try:
        kzoo.train(
            "tabular_fnn",
            data,
            target="plan",
            out=folder,
            units=(3,),
            epochs=1,
            progress=False,
            check=False,
        )
    except kzoo.KzooError:
        return


def doors_of_run(folder, source, turn):
    """Yield (name, call): the cheap ones each time, one of the others in turn at every fifth time."""
    import kzoo

    new = source / "new.csv"
    for name in (
        "spec",
        "data",
        "problem",
        "target",
        "summary",
        "preprocessing",
        "finished",
        "class_names",
        "answers",
        "history",
        "model_file",
        "config",
    ):
        yield name, partial(lambda name: getattr(kzoo.Run(folder), name), name)
    yield "repr", lambda: repr(kzoo.Run(folder))
    yield "spec_of", lambda: kzoo.spec_of(folder)
    yield "compare", lambda: kzoo.compare([folder, source / "run_2"])
    turns = (
        ("predict", lambda: kzoo.predict(folder, new)),
        ("evaluate", lambda: kzoo.evaluate(folder, source / "data.csv")),
        ("model", lambda: kzoo.Run(folder).model),
        ("report", lambda: kzoo.report(folder, out=folder.parent / "report.html")),
        ("check", lambda: kzoo.check(folder, new, deep=False)),
        ("kzoo compare", lambda: command("compare", str(folder), str(source / "run_2"))),
        ("kzoo predict", lambda: command("predict", str(folder), str(new))),
        ("kzoo check", lambda: command("check", str(folder), "--data", str(new))),
        (
            "kzoo evaluate",
            lambda: command("evaluate", str(folder), "--data", str(source / "data.csv")),
        ),
        ("resume", lambda: refuse_other(folder, source / "data.csv")),
    )
    if turn % 5 == 0:
        yield turns[turn // 5 % len(turns)]


def doors_of_exported(folder, source, turn):
    import kzoo
    import kzoo.runtime

    exported = lambda: kzoo.ExportedModel(folder)  # noqa: E731
    for name in ("manifest", "config", "name", "spec", "labels", "preprocessing", "exports"):
        yield name, partial(lambda name: getattr(exported(), name), name)
    yield "repr", lambda: repr(exported())
    yield "file", lambda: exported().file("onnx")
    yield "damage", lambda: exported().damage()
    yield "spec_of", lambda: kzoo.spec_of(folder)
    yield "runtime", lambda: kzoo.runtime.load(folder, "onnx").predict(source / "new.csv")
    if turn % 5 == 0:
        yield "load_model", lambda: kzoo.load_model(folder)
        yield "kzoo predict", lambda: command("predict", str(folder), str(source / "new.csv"))


def doors_of_keras(folder, source, turn):
    import kzoo

    yield "load_model", lambda: kzoo.load_model(next(folder.glob("*.keras")))


def doors_of_runtime(folder, source, turn):
    import kzoo.runtime

    key = "litert" if turn < 0 else "onnx"
    yield "runtime", lambda: kzoo.runtime.load(folder, key).predict(source / "new.csv")


DOORS = {
    "run": doors_of_run,
    "exported": doors_of_exported,
    "keras": doors_of_keras,
    "onnx": doors_of_runtime,
    "litert": lambda folder, source, turn: doors_of_runtime(folder, source, -1),
}


def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def list_in_manifest(folder, file):
    """Set the checksum right, so that the damaged bytes reach their runtime."""
    manifest = json.loads((folder / "kzoo.json").read_text(encoding="utf-8"))
    content = (folder / file).read_bytes()
    manifest.pop("sha256", None)  # of all else in it
    manifest["files"][file] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "kzoo.json").write_text(json.dumps(manifest), encoding="utf-8")


def main(what, file, folder, first, last):
    import kzoo

    gc.set_threshold(200_000, 20, 100)
    warnings.simplefilter("ignore")
    folder, source = Path(folder), Path(folder).parent
    begin = list(DOORS[what](folder, source, 0))
    for turn in range(0, 50, 5):  # whole: every door answers, and what is loaded once is loaded
        begin += list(DOORS[what](folder, source, turn))[-1:]
    for _, door in begin:
        door()
    room = (memory("VmSize") << 20) + (3 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    whole = (folder / file).read_bytes()
    base = memory("VmRSS")
    damage = DAMAGES.get(Path(file).suffix, damaged_bytes)
    # beside what starting has taken
    counts = collections.Counter()
    slow = max(10, 4 * time.process_time())
    copy = folder.parent / f"damaged-{os.getpid()}" / folder.name
    for seed in range(int(first), int(last)):
        shutil.rmtree(copy.parent, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / file).write_bytes(damage(whole, random.Random(f"{file} {seed}")))
        if what in ("onnx", "litert"):
            list_in_manifest(copy, file)
        print(json.dumps(dict(seed=seed)), flush=True)  # which it was, if this process ends here
        for name, door in DOORS[what](copy, source, seed):
            Path("/proc/self/clear_refs").write_text("5")
            began = time.process_time()
            try:
                door()
                counts["answered"] += 1
            except kzoo.KzooError as error:
                counts["refused"] += 1
                if "\n" in str(error):
                    print(
                        json.dumps(dict(seed=seed, door=name, wrong=f"several lines: {error}")),
                        flush=True,
                    )
            except BaseException as error:
                counts["foreign"] += 1
                print(
                    json.dumps(
                        dict(seed=seed, door=name, wrong=f"{type(error).__name__}: {error}"[:300])
                    ),
                    flush=True,
                )
                if os.environ.get("TRACE"):
                    import traceback

                    traceback.print_exc()
            if memory("VmHWM") - base > ROOM or time.process_time() - began > slow:
                used = f"{memory('VmHWM') - base} MiB, {time.process_time() - began:.1f} s"
                print(json.dumps(dict(seed=seed, door=name, wrong=used)), flush=True)
        if seed % 50 == 0 and "keras" in sys.modules:
            sys.modules["keras"].utils.clear_session(free_memory=False)
    shutil.rmtree(copy.parent, ignore_errors=True)
    print(json.dumps(dict(done=True) | counts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
