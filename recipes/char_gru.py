"""Train a character-level language model, measure its bits per character, and generate text.

A model that predicts the next character well could compress the text: bits per character is the compressed size. The
test split is scored in one pass, with all earlier text as context. The tutorial's network is stateful in training, but
`fit` shuffles the windows, so each window starts with the state of an unrelated one; and Keras 3 has no
`batch_input_shape`. Here only the copies that score and generate are stateful. A low temperature gives dull text, a
high one wild text; top-k and top-p limit the choice.

python recipes/char_gru.py                        Python's documentation, part of every installation
python recipes/char_gru.py --data FILE.txt        your own text: the last 10 % for test, 2 % before for validation
python recipes/char_gru.py --prompt "for i in "   the start of the generated texts
python recipes/char_gru.py --smoke                a quick test of a few seconds

Measured: 643 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
import math
import time
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

import kzoo
from kzoo.inference.kinds.text.inference import tokenizer_of
from kzoo.plots.colors import GREEN, GREY, INK, ORANGE
from kzoo.plots.figure import new_figure, style_axes

options = dict(
    epochs=dict(type=int, default=None),
    validation=0.02,
    prompt="The ",
    length=300,
    top_k=20,
    top_p=1.0,
)
args = kzoo.recipes.arguments("char_gru", __doc__, data="pydocs", **options)
preset = kzoo.get_preset("char_gru")
if args.smoke:
    args.length = min(args.length, 60)
    text = Path(mkdtemp()) / "smoke.txt"
    text.write_text(__doc__ * 4, encoding="utf-8")
    data = kzoo.load_data(text, preset=preset)
else:
    data = kzoo.load_data(args.data, preset=preset, validation=args.validation)

# %% Train
small = dict(epochs=1, units=(32,)) if args.smoke else dict(epochs=args.epochs)
run = kzoo.train(preset, data, out=args.out, **small)

# %% Evaluate: the test split window by window, and in one pass
rows = []
for read_mode, stateful in (("windows of 100", False), ("one pass", True)):
    scores = kzoo.evaluate(run, data, stateful=stateful)
    row = dict(data=data.name, read=read_mode, bits_per_character=scores["loss"] / math.log(2))
    row |= {name: scores[name] for name in ("perplexity", "accuracy", "majority")} | dict(
        characters=scores["tokens"]
    )
    rows.append(row | dict(parameters=run.summary["parameters"], seconds=run.summary["seconds"]))
for temperature in (0.4, 0.8, 1.2):
    began = time.perf_counter()
    text = kzoo.generate(
        run,
        args.prompt,
        length=args.length,
        temperature=temperature,
        top_k=args.top_k,
        top_p=args.top_p,
    )
    seconds = time.perf_counter() - began
    print(
        f"\n--- temperature {temperature}, top {args.top_k}, {args.length / seconds:.0f} characters/s ---\n{text}"
    )

# %% Plot: bits per epoch, and the predictions along a piece of the test split
visible = {" ": "␣", "\n": "↵", "\t": "→"}
letters = np.array(
    ["", "?", *(visible.get(c, c) for c in tokenizer_of(run.preprocessing).vocabulary)]
)
first, width, ranks = 30, 28, 4
prose = np.char.isalpha(letters)[data.test.x[:][:, first : first + width]].sum(axis=1)
window = data.test.x[prose.argmax()]
p = np.asarray(run.model.predict(window[None], verbose=0))[0, first - 1 : first - 1 + width]
best = np.argsort(-p, axis=1)[:, :ranks]  # the most probable tokens at each position
figure = new_figure(9, 6.4)
above, below = figure.subplots(2, 1, height_ratios=(1, 1.1))
style_axes(above, "Bits per character", x="epoch")
for column, label, color in (("loss", "training", GREY), ("val_loss", "validation", GREEN)):
    bits = np.array(run.history[column]) / math.log(2)
    above.plot(run.history["epoch"], bits, marker="o", ms=3.5, color=color, label=label)
above.axhline(rows[1]["bits_per_character"], color=INK, lw=1, ls="--", label="test, in one pass")
above.xaxis.set_major_locator(MaxNLocator(integer=True))
above.legend(frameon=False)
style_axes(
    below,
    "Predicted probability of each character (darker: higher); the actual one is framed",
    grid=None,
)
below.imshow(np.take_along_axis(p, best, axis=1).T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for step, truth in enumerate(window[first : first + width]):
    for rank, token in enumerate(best[step]):
        style = dict(
            color="white" if p[step, token] > 0.55 else INK,
            ha="center",
            va="center",
            family="monospace",
        )
        below.text(step, rank, letters[token], fontsize=15, parse_math=False, **style)
        if token == truth:
            below.add_patch(
                Rectangle((step - 0.46, rank - 0.45), 0.92, 0.9, fill=False, ec=ORANGE, lw=2.4)
            )
label_style = dict(family="monospace", color=INK, fontsize=15, fontweight="bold", parse_math=False)
below.set_xticks(range(width), letters[window[first : first + width]], **label_style)
below.set_yticks(range(ranks), ["most likely", "2nd", "3rd", "4th"][:ranks], fontsize=11)
below.set_xlabel("actual character", color=GREY, fontsize=11)
below.tick_params(length=0)
kzoo.recipes.finish(args, rows, figure, folder=run.path)
