"""Run a fuzz target with atheris (pip install atheris), from its seeds.

python tests/fuzz/run_fuzz.py                                       the names of the targets
python tests/fuzz/run_fuzz.py corpus OUT                            writes the seeds of all targets to OUT/TARGET/
python tests/fuzz/run_fuzz.py TARGET CORPUS [-max_total_time=180]   further arguments are those of libFuzzer

New inputs that reach new code are added to CORPUS. An input that fails is written to the current folder as crash-*.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]


def write_seeds(name, target, folder):
    """Write the seeds of a target to its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (folder / f"{name}-{number:02}").write_bytes(seed)


def main(arguments):
    if arguments[:1] == ["corpus"]:
        from fuzz_targets import TARGETS

        for name, target in TARGETS.items():
            write_seeds(name, target, Path(arguments[1], name))
        return
    if not arguments:
        from fuzz_targets import TARGETS

        print(*TARGETS, sep="\n")
        return
    import atheris

    name, corpus, *options = arguments
    with atheris.instrument_imports(include=["kzoo"]):
        from fuzz_targets import TARGETS

        target = TARGETS[name]
        for seed in target.seeds():  # kzoo imports many modules on first use
            target.run(seed)
    write_seeds(name, target, Path(corpus))
    atheris.Setup([sys.argv[0], corpus, *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
