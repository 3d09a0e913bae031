"""Sentiment of film reviews with a corrected version of the tutorial's Transformer encoder, and its attention weights.

Four errors of the tutorial's encoder are corrected here: it has no positions, so it reads a bag of words; it attends to
padding; it is built with training=True, so dropout stays on at inference; and each head is as wide as the whole layer.

python recipes/imdb_transformer.py                  downloads IMDB, 17 MB, unless it is already there
python recipes/imdb_transformer.py --data FOLDER    positive.txt and negative.txt, one review per line
python recipes/imdb_transformer.py --smoke          a quick test on generated sentences, without a download
"""

# %% Data and settings
from dataclasses import replace

import kzoo
from kzoo.inference.encode import encode
from kzoo.inference.kinds.text.inference import tokenizer_of

args = kzoo.recipes.arguments(
    "imdb_transformer",
    __doc__,
    data="imdb",
    stand_in="opinions",
    epochs=dict(type=int, default=None),
)
preset = kzoo.get_preset("imdb_transformer")
if args.smoke:
    # words, instead of 200
    preset = replace(preset, config=preset.config | dict(input_shape=(12,)))
data = kzoo.load_data(args.data, preset=preset)
print(data)

# %% Train
small = dict(epochs=1, batch_size=256) if args.smoke else dict(epochs=args.epochs)
run = kzoo.train(preset, data, out=args.out, **small)

# %% Evaluate
scores = kzoo.evaluate(run, data)
row = kzoo.recipes.run_row(run, scores, "accuracy", "auc")
sentences = [
    "the film is not good, but the music is wonderful",
    "a wonderful film",
    "dull from start to finish",
]
predictions = kzoo.predict(run, sentences)
print(predictions.to_frame().to_string(index=False, float_format="%.3f"))

# %% Plot
words = tokenizer_of(data.preprocessing).split(sentences[0])
figure = kzoo.plots.attention_map(run.model, encode(data.preprocessing, sentences[0]), tokens=words)
kzoo.recipes.finish(args, [row], figure, folder=run.path)
