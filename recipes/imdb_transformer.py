"""Praise or blame, with the tutorial's Transformer encoder made proper, and where its heads look.

The tutorial's encoder has no positions, so it reads a bag of words; it attends to padding; it is built with
training=True, so dropout stays on when it predicts; and each of its heads is as wide as the whole. All four are put
right here.

python recipes/imdb_transformer.py                  downloads IMDB, 17 MB, unless it is here already
python recipes/imdb_transformer.py --data FOLDER    positive.txt and negative.txt, a review a line
python recipes/imdb_transformer.py --smoke          seconds and no download, on generated opinions
"""

# %% What to train, on what
from dataclasses import replace

import kzoo
from kzoo.data import encode
from kzoo.kinds.text.inference import tokenizer_of

args = kzoo.recipes.arguments(
    "imdb_transformer", __doc__, data="imdb", stand_in="opinions", epochs=dict(type=int, default=None)
)
preset = kzoo.get_preset("imdb_transformer")
if args.smoke:
    preset = replace(preset, config=preset.config | dict(input_shape=(12,)))  # words, in place of 200
data = kzoo.load_data(args.data, preset=preset)
print(data)

# %% Train
small = dict(epochs=1, batch_size=256) if args.smoke else dict(epochs=args.epochs)
run = kzoo.train(preset, data, out=args.out, **small)

# %% Score
scores = kzoo.evaluate(run, data)
row = kzoo.recipes.run_row(run, scores, "accuracy", "auc")
sentences = ["the film is not good, but the music is wonderful", "a wonderful film", "dull from start to finish"]
said = kzoo.predict(run, sentences)
print(said.to_frame().to_string(index=False, float_format="%.3f"))

# %% Look
words = tokenizer_of(data.preprocessing).split(sentences[0])
figure = kzoo.plots.attention_map(run.model, encode(data.preprocessing, sentences[0]), tokens=words)
kzoo.recipes.finish(args, [row], figure, folder=run.path)
