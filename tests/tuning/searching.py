"""A search in a separate process, for tests that kill it: python tests/tuning/searching.py CASE FOLDER"""

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
    # functions that build models: a separate process trains those of a module, this process those of a script
    "module": dict(engine="bayesian", trials=8, epochs=2),
    "script": dict(engine="random", trials=8, epochs=2),
}


def build(hp):
    from tutorial_networks import build_dense

    return build_dense(hp)


def run(case, folder):
    import kzoo

    options = dict(out=folder, progress=False) | OPTIONS[case]
    if case in ("module", "script"):
        from tutorial_networks import build_dense

        search = kzoo.tune(build_dense if case == "module" else build, "iris", **options)
    else:
        space = kzoo.space("iris_fnn", "standard")
        if names := options.pop("only", None):
            space = space.only(*names)
        search = kzoo.tune("iris_fnn", engine=case, space=space, units=(8,), **options)
    print(json.dumps([search.finished, len(search.trials)]))


if __name__ == "__main__":
    run(*sys.argv[1:])
