"""Samples per second of `kzoo.train` with its defaults, compared with plain Keras and PyTorch: the table in README.md.

python tests/benchmarks/peers.py --out TABLE.md      needs TensorFlow, JAX and PyTorch; an hour on two quiet cores
python tests/benchmarks/peers.py --avx2              as on a processor without AVX-512, on one that has it

* kzoo: `kzoo.train`, with its checks, callbacks, journal and a live progress bar, on TensorFlow and on JAX. The
  better of the two is used as the result of `--backend auto`.
* keras: `fit` of the model of `kzoo.build`, on arrays, on TensorFlow.
* torch: the PyTorch twin (`twins.py`), eager, float32 and, if the processor supports it, bfloat16 autocast; data in
  memory as tensors, fused optimizer, images channels-last, no metrics.

Layers, parameters (checked), batch size, optimizer, clipping and dropout are the same; there is no augmentation. Each
measurement runs in its own process, in turns. Epoch time includes the steps only, without validation and writing of
files. The first epoch, which compiles, is ignored, and the best epoch is the result. No accelerator is used.

`--avx2` restricts the libraries that select instructions at run time (oneDNN, XLA, PyTorch, OpenBLAS), reports the
instruction sets of such a processor to kzoo, and runs Keras with the TensorFlow of such a processor: without oneDNN.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

import kzoo
from kzoo.utils import onednn, processor
from kzoo.zoo.registry.preset import closed

# batch size, steps to an epoch (multiples of 9: a tenth of all is validation, without a remainder)
MODELS = {
    "tabular_fnn": (32, 504),
    "cifar_cnn": (64, 18),
    "cifar_resnet": (128, 9),
    "cifar_vit": (128, 9),
    "imdb_lstm": (64, 18),
    "imdb_rnn": (64, 36),
    "text_gru": (64, 72),
    "imdb_transformer": (64, 18),
    "series_transformer": (64, 63),
}
BARS = {  # kzoo over the better of PyTorch's two, on every processor; over Keras it is 1
    "tabular_fnn": 1.4,
    "cifar_cnn": 0.95,
    "cifar_resnet": 0.95,
    "cifar_vit": 1.0,
    "imdb_lstm": 1.0,
    "imdb_rnn": 1.4,
    "text_gru": 1.4,
    "imdb_transformer": 1.0,
    "series_transformer": 1.0,
}
ENGINES = ("kzoo", "kzoo_jax", "keras", "torch", "torch_bf16")
AVX2 = ("avx", "avx2", "fma")  # instruction sets of most laptops and many servers
NARROWED = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
FOREVER = 100_000  # epochs; a measurement ends by the clock


# Each measurement: a function of (preset, batch size, steps to an epoch, seconds), in a process of its own.


def inputs(preset, count, random):
    """Return random inputs and targets of a preset: (count, ...) each."""
    config = preset.config
    kind = preset.config["inputs"]
    shape = (count, *closed(config)["input_shape"])
    if kind == "series":
        return random.normal(size=shape).astype("float32"), random.normal(
            size=(count, config["horizon"], 1)
        )
    labels = random.integers(0, max(config["outputs"], 2), count)
    if kind == "rows":
        return random.normal(size=shape).astype("float32"), labels
    if kind == "image":
        return random.integers(0, 256, shape).astype("uint8"), labels
    ids = random.integers(2, config["vocabulary_size"], shape)
    lengths = random.integers(shape[1] // 3, 2 * shape[1], (count, 1))  # half of them are padded
    return np.where(np.arange(shape[1]) < lengths, ids, 0).astype("int32"), labels


def of_kzoo(preset, batch_size, steps, seconds):
    """Measure `kzoo.train` on the backend in the environment."""
    timer = _timer(seconds)
    with tempfile.TemporaryDirectory() as folder:
        settings = dict(
            epochs=FOREVER, patience=FOREVER, batch_size=batch_size, out=f"{folder}/run"
        )
        if "augment" in preset.training:
            settings["augment"] = ()
        data = _data(preset, batch_size * steps)
        run = kzoo.train(preset.name, data, callbacks=[timer], **settings)
        parameters = run.model.count_params()
    return len(data.train), timer.seconds[1:], parameters


def _data(preset, count):
    """Return data with about this many training examples."""
    random = np.random.default_rng(0)
    if preset.config["inputs"] == "series":
        import pandas as pd

        steps = closed(preset.config)["input_shape"][0]
        rows = count + steps + preset.config["horizon"] - 1  # those that its windows cover
        return kzoo.load_data(
            pd.DataFrame({"value": random.normal(size=rows * 10 // 8)}), preset=preset, test=0.1
        )
    x, y = inputs(preset, count * 10 // 9, random)
    return kzoo.load_data((x, y), preset=preset, test=inputs(preset, 200, random))


def of_keras(preset, batch_size, steps, seconds):
    """Measure plain `fit` on arrays."""
    timer = _timer(seconds)
    count = batch_size * steps
    model = kzoo.build(preset.name)
    x, y = inputs(preset, count, np.random.default_rng(0))
    model.fit(x, y, batch_size=batch_size, epochs=FOREVER, verbose=0, callbacks=[timer])
    return count, timer.seconds[1:], model.count_params()


def _timer(seconds):
    """Return an epoch timer that stops training this many seconds after the first epoch, which compiles."""
    from clock import Clock

    class Timer(Clock):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 0:
                self.end = time.monotonic() + seconds
            self.model.stop_training = epoch > 1 and time.monotonic() > self.end

    return Timer()


def of_torch(preset, batch_size, steps, seconds, *, bf16=False):
    """Measure a training loop as in the PyTorch tutorials."""
    import torch
    from twins import count, make_loss, make_optimizer, twin

    torch.manual_seed(0)
    torch.set_num_threads(_cores())
    network, loss_of, clip = (
        twin(preset).train(),
        make_loss(preset),
        preset.training["global_clipnorm"],
    )
    images = preset.config["inputs"] == "image"
    samples = batch_size * steps
    x, y = (
        torch.from_numpy(values) for values in inputs(preset, samples, np.random.default_rng(0))
    )
    x = x.long() if x.dtype == torch.int32 else x
    y = y.float() if y.is_floating_point() else y
    if images:
        network = network.to(memory_format=torch.channels_last)
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, preset.training)

    def step(rows):
        batch = x[rows]
        if images:
            batch = (batch.float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            answers = network(batch)
        loss = loss_of(answers.float(), y[rows])
        optimizer.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        return loss.detach()

    def epoch():
        began = time.perf_counter()
        total = torch.zeros(())
        for rows in torch.randperm(samples).split(batch_size):
            total += step(rows)
        assert total.isfinite()
        return time.perf_counter() - began

    for _ in range(5):  # to warm up: nothing is compiled
        step(torch.arange(batch_size))
    took = []
    end = time.monotonic() + seconds
    while not took or time.monotonic() < end:
        took.append(epoch())
    return samples, took, count(network)


def measure(engine, name, seconds, *, avx2=False):
    """Measure in this process, and print the result as one line of JSON."""
    if avx2:
        processor.instruction_sets = lambda: AVX2
        onednn.instruction_sets = lambda: AVX2
    preset, (batch_size, steps) = kzoo.get_preset(name), MODELS[name]
    if engine.startswith("torch"):
        samples, took, parameters = of_torch(
            preset, batch_size, steps, seconds, bf16=engine == "torch_bf16"
        )
    else:
        of = of_keras if engine == "keras" else of_kzoo
        samples, took, parameters = of(preset, batch_size, steps, seconds)
    print(json.dumps(dict(rate=samples / min(took), parameters=parameters)))


# The whole: measurements in turns, rows, the table.


def in_a_process(engine, name, seconds, *, avx2=False):
    """Return samples per second, measured in a separate process. If it fails, print the reason and return None.

    Raises:
        SystemExit: the network and the preset have different numbers of parameters.
    """
    settings = dict(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3")
    settings["KERAS_BACKEND"] = "jax" if engine == "kzoo_jax" else "tensorflow"
    settings["TTY_COMPATIBLE"] = "1"  # the progress bar draws as on a terminal
    line = [
        sys.executable,
        __file__,
        "--measure",
        engine,
        "--models",
        name,
        "--seconds",
        str(seconds),
    ]
    if avx2:
        line = [*line, "--avx2"]
        settings = settings | NARROWED
        if engine == "keras":
            settings[onednn.VARIABLE] = "0"
    done = subprocess.run(line, env=os.environ | settings, capture_output=True, text=True)
    if done.returncode:
        print(
            f"{name}, {engine}: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}",
            file=sys.stderr,
        )
        return None
    found = json.loads(done.stdout.splitlines()[-1])
    expected = kzoo.get_preset(name).params
    if found["parameters"] != expected:
        raise SystemExit(
            f"{name}, {engine}: {found['parameters']} parameters, but the preset has {expected}: no twin."
        )
    return found["rate"]


def compared(name, rounds, seconds, *, engines=ENGINES, avx2=False):
    """Return the row of a model: the best rate of each engine, the ratios and their thresholds."""
    best = dict.fromkeys(ENGINES, 0.0)
    for number in range(rounds):
        for engine in engines if number % 2 == 0 else engines[::-1]:
            best[engine] = max(best[engine], in_a_process(engine, name, seconds, avx2=avx2) or 0.0)
    plain = best["kzoo"]
    auto = max(best["kzoo"], best["kzoo_jax"])
    torch = max(best["torch"], best["torch_bf16"])
    return dict(
        what="samples/s of training",
        model=name,
        batch=MODELS[name][0],
        **{engine: round(rate) or None for engine, rate in best.items()},
        auto=round(auto) or None,
        over_torch=[_ratio(plain, torch), _ratio(auto, torch)],
        bar_over_torch=BARS[name],
        over_keras=[_ratio(plain, best["keras"]), _ratio(auto, best["keras"])],
    )


def _ratio(rate, other):
    return round(rate / other, 2) if rate and other else None


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(rows, rounds, seconds, *, avx2=False):
    """Return rows as a Markdown table, with a heading that describes the machine."""
    packages = ("kzoo", "keras", "tensorflow", "jax", "torch")
    software = ", ".join(f"{name} {version(name)}" for name in packages)
    head = [
        "model, batch",
        "kzoo",
        "kzoo on JAX",
        "kzoo, `--backend auto`",
        "Keras `fit`",
        "PyTorch",
        "PyTorch bf16",
        "kzoo / PyTorch",
        "auto / PyTorch",
        "kzoo / Keras",
        "auto / Keras",
    ]
    lines = [
        f"Samples per second of training, {date.today()}; cores: {_cores()}, {_processor()}, "
        f"{'narrowed to ' if avx2 else ''}{', '.join(AVX2 if avx2 else processor.instruction_sets())}; {software}, "
        f"Python {platform.python_version()}.",
        f"The best epoch; rounds: {rounds}, each measurement a process of {seconds:g} s (`tests/benchmarks/peers.py`). "
        "kzoo and Keras run on TensorFlow where nothing else is said; `--backend auto` is taken to be the better of "
        "TensorFlow and JAX. PyTorch runs eagerly, with images channels-last; ratios are to the better of its two.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
    ]
    for row in rows:
        rates = [row[key] for key in ("kzoo", "kzoo_jax", "auto", "keras", "torch", "torch_bf16")]
        cells = [
            f"{row['model']}, {row['batch']}",
            *["-" if r is None else f"{r:,}" for r in rates],
        ]
        cells += [
            "-" if r is None else f"{r:.2f}" for r in (*row["over_torch"], *row["over_keras"])
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=8, help="of each measurement, after the first epoch"
    )
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE"
    )
    parser.add_argument("--avx2", action="store_true", help="narrow this processor to AVX2")
    parser.add_argument(
        "--out", type=Path, help="a file for the table, in Markdown; it is written after each row"
    )
    # in a process of its own
    parser.add_argument("--measure", choices=ENGINES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.measure, *args.models, args.seconds, avx2=args.avx2)
    rows = []
    engines = args.engines
    if args.avx2 or not processor.computes_bfloat16():  # emulated, bfloat16 takes minutes
        engines = [engine for engine in engines if engine != "torch_bf16"]
    for name in args.models:
        rows.append(compared(name, args.rounds, args.seconds, engines=engines, avx2=args.avx2))
        print(json.dumps(rows[-1]), flush=True)
        if args.out:
            args.out.write_text(table(rows, args.rounds, args.seconds, avx2=args.avx2))


if __name__ == "__main__":
    main()
