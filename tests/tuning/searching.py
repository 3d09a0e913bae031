"""One search in a process of its own, for tests that kill it: python tests/tuning/searching.py ENGINE FOLDER"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

OPTIONS = {
    "grid": dict(trials=6, epochs=2, only=("norm", "activation")),
    "random": dict(trials=6, epochs=2),
    "bayesian": dict(trials=8, epochs=2),
    "optuna": dict(trials=8, epochs=2),
    "hyperband": dict(trials=1, epochs=4),
}


def run(engine, folder):
    import kzoo

    options = dict(OPTIONS[engine])
    space = kzoo.space("iris_fnn", "standard")
    if names := options.pop("only", None):
        space = space.only(*names)
    search = kzoo.tune("iris_fnn", engine=engine, space=space, out=folder, progress=False, units=(8,), **options)
    print(json.dumps([search.finished, len(search.trials)]))


if __name__ == "__main__":
    run(*sys.argv[1:])
