"""`generate`: continue a text with a language model; and scores of language models that keep their state."""

import math
import os
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.splits import check_seed
from kzoo.kinds.text.inference import tokenizer_of
from kzoo.kinds.text.tokenizer import PADDING, UNKNOWN
from kzoo.predictions import probabilities
from kzoo.registry import general_first, list_presets, rebuild, spec_of
from kzoo.run import Run
from kzoo.storage.windows import series_of
from kzoo.tasks import problems_with_facts
from kzoo.training.score import forward, gives_logits
from kzoo.untracked import as_run
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError

_MOST = 1_000_000  # tokens to generate, or to choose from
_PIECE = 256  # tokens per call when scoring
_WINDOWS = 32  # per call when scoring


@checked_arguments
def generate(
    run: Run | str | os.PathLike[str],
    prompt: str = "",
    *,
    length: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    weights: str | None = None,
) -> str:
    """Continue a text token by token, each sampled from the model's probabilities.

    A recurrent model with outputs at every step keeps its state over the whole text. Any other model sees the last
    window, as in training.

    Args:
        run: the run of a language model, or its path; or the name of a preset with pretrained weights in the package.
        prompt: the beginning of the text. Tokens outside the vocabulary count as unknown. An empty prompt starts after
            a line break or, if the vocabulary has none, after the most frequent token.
        length: number of characters or words to add.
        temperature: 1 samples from the model's own probabilities, lower values are more conservative, higher ones more
            random; 0 always takes the likeliest token.
        top_k: sample from this many of the likeliest tokens; None: from all.
        top_p: sample from the likeliest tokens that together have this share of the probability, after `temperature`
            and `top_k` (nucleus sampling, https://arxiv.org/abs/1904.09751); None: from all.
        seed: of the sampling: the same seed gives the same text.
        weights: which pretrained weights, if a preset has several.

    Returns:
        The prompt and its continuation. Padding and unknown tokens are never sampled.

    Raises:
        KzooError: a run that is not of a language model, a value out of range, or a prompt without a known token.
    """
    run = as_run(run, weights)
    _check(run, prompt, length, temperature, top_k, top_p)
    check_seed(seed)
    tokenizer, generator = tokenizer_of(run.preprocessing), np.random.default_rng(seed)
    pending, read, generated = (
        _prompt_ids(prompt, tokenizer),
        _next_token_reader(run.model, run.preprocessing["length"]),
        [],
    )
    for _ in range(length):
        p = read(pending)[UNKNOWN + 1 : len(tokenizer)]  # neither padding nor the unknown token
        pending = [UNKNOWN + 1 + _sample(p, temperature, top_k, top_p, generator)]
        generated += pending
    separator = " " if prompt and tokenizer.level == "words" else ""
    return prompt + separator + tokenizer.decode(generated)


def _check(run: Run, prompt: Any, length: Any, temperature: Any, top_k: Any, top_p: Any) -> None:
    task = run.data.task
    if "continues" not in run.problem.facts:
        presets = [name for problem in problems_with_facts("continues") for name in list_presets(task=problem.name)]
        names = ", ".join(general_first(presets))
        raise KzooError(f"{run.path} is a run of {task}, but only language models generate text. Presets: {names}.")
    if not isinstance(prompt, str):
        raise KzooError(f"prompt={prompt!r} must be a string.")
    counts = {"length": length} | ({} if top_k is None else {"top_k": top_k})
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= _MOST:
            raise KzooError(f"{name}={value!r} must be a whole number from 1 to {_MOST}.")
    if not _is_number(temperature) or temperature < 0:
        raise KzooError(f"temperature={temperature!r} must be a number >= 0.")
    if top_p is not None and not (_is_number(top_p) and 0 < top_p <= 1):
        raise KzooError(f"top_p={top_p!r} must be above 0 and at most 1.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _prompt_ids(prompt: str, tokenizer: Any) -> list[int]:
    if not prompt:
        return tokenizer.ids("\n") if "\n" in tokenizer.vocabulary else [UNKNOWN + 1]  # ids are ordered by frequency
    ids = tokenizer.ids(prompt)
    if set(ids) <= {UNKNOWN}:
        unknown = ", ".join(repr(t) for t in dict.fromkeys(tokenizer.split(prompt))) or repr(prompt)
        raise KzooError(
            f"No token of the prompt is in the model's vocabulary: {unknown}. Use {tokenizer.level} that it contains."
        )
    return ids


def _next_token_reader(model: keras.Model, window: int) -> Callable[[list[int]], np.ndarray]:
    """Return a function of the token ids that follow those read before; it returns p (V,) of the next token."""
    # A model trained only on the last step of full windows has never predicted after more than one window.
    read: Any = stateful_reader(model, 1) if _config(model).get("pooling", "last") is None else None
    logits, history = gives_logits(model), []

    def step(ids: list[int]) -> np.ndarray:
        for token in ids:
            outputs = read(np.array([[token]], np.int32))
        return outputs[0, 0]

    def whole_window(ids: list[int]) -> np.ndarray:
        history.extend(ids)
        window_ids = history[-window:]
        row = np.array([window_ids + [PADDING] * (window - len(window_ids))], np.int32)
        outputs = forward(model, row, 1)[0]
        return outputs[len(window_ids) - 1] if outputs.ndim == 2 else outputs

    predict_next = whole_window if read is None else step
    return lambda ids: probabilities(predict_next(ids)[None], logits)[0].astype("float64")


def _sample(
    p: np.ndarray, temperature: float, top_k: int | None, top_p: float | None, generator: np.random.Generator
) -> int:
    """Return an index sampled from p (V,), which need not sum to 1."""
    best = np.argsort(-p, kind="stable")[: 1 if temperature == 0 else top_k]
    if len(best) == 1:
        return int(best[0])
    logits = np.log(np.maximum(p[best], 1e-300))
    weights = np.exp((logits - logits[0]) / temperature)
    weights /= weights.sum()
    if top_p is not None:
        before = np.cumsum(weights) - weights  # cumulative probability of the likelier tokens
        weights = np.where(before < top_p, weights, 0.0)
        weights /= weights.sum()
    return int(generator.choice(best, p=weights))


def _config(model: keras.Model) -> dict[str, Any]:
    try:
        return spec_of(model)["config"]
    except KzooError:
        return {}  # a custom model


def stateful_reader(model: keras.Model, steps: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function that reads one text, `steps` tokens per call, and keeps its state between calls.

    The state is an input and an output of the network, instead of staying in layers with `stateful=True`: those lose it
    between calls of `predict_on_batch` on Keras' JAX backend.

    Args:
        model: a model built by kzoo.
        steps: tokens per call.

    Returns:
        A function: ids (1, steps) -> outputs at each step (1, steps, V). None if there is no state to keep: no
        recurrent layers, a bidirectional layer, or outputs of the mean over all steps.
    """
    config = _config(model)
    if "stateful" not in config or config["bidirectional"] or config["pooling"] not in (None, "last"):
        return None
    networks = _networks.setdefault(model, {})
    if steps not in networks:
        networks[steps] = _with_state_inputs(model, config, steps)
    network = networks[steps]
    for layer in model.layers:
        if layer.weights:  # they may have changed since the network was built
            network.get_layer(layer.name).set_weights(layer.get_weights())
    states = [np.zeros(state.shape, "float32") for state in network.inputs[1:]]

    def read(row: np.ndarray) -> np.ndarray:
        outputs, *states[:] = network.predict_on_batch([row, *states])
        return np.asarray(outputs, "float32")

    return read


# Model -> tokens per call -> the network with state inputs; building and tracing it takes half a second.
_networks: WeakKeyDictionary[keras.Model, dict[int, keras.Model]] = WeakKeyDictionary()


def _with_state_inputs(model: keras.Model, config: dict[str, Any], steps: int) -> keras.Model:
    """Return a network from `steps` tokens and the states to outputs and the next states; its weights are random."""
    config = config | dict(stateful=False, pooling=None, input_shape=(steps,))
    stateless = rebuild(spec_of(model) | dict(config=config, seed=None), compile=False)
    x = ids = keras.Input((steps,), batch_size=1, dtype="int32")
    states_in: list[Any] = []
    states_out: list[Any] = []
    for layer in stateless.layers[1:]:  # the layers are a chain if there are outputs at each step
        if not isinstance(layer, keras.layers.RNN):
            x = layer(x)
            continue
        states = [keras.Input((int(size),), batch_size=1) for size in np.atleast_1d(layer.cell.state_size)]
        with_states = type(layer).from_config(layer.get_config() | {"return_state": True})
        x, *next_states = with_states(x, initial_state=states)
        states_in, states_out = states_in + states, states_out + next_states
    return keras.Model([ids, *states_in], [x, *states_out])


def score_stateful(model: keras.Model, part: Split, data: Dataset, *, logits: bool | None) -> dict[str, Any]:
    """Return the scores of a language model on a split, read once as one text.

    Each token but the first is predicted from those before it. A recurrent network keeps its state. The window of a
    causal Transformer moves by half its length, so that each token after the first window is predicted from at least
    half a window.

    Args:
        logits: whether its outputs are logits (see `kzoo.training.score.gives_logits`).

    Raises:
        KzooError: a model or data for which this is not possible.
    """
    pieces = None
    if (ids := series_of(part.x)) is not None:
        config = _config(model)
        if config.get("causal") and config["pooling"] is None:
            pieces = _overlapping_windows(model, ids)
        elif read := stateful_reader(model, _PIECE):
            pieces = _pieces(read, ids)
    if pieces is None:
        raise KzooError(
            "stateful=True needs a language model with outputs at each step, and data from one text; this is not the "
            f"case for {model.name!r} with this data: omit it."
        )
    return data.problem.task.scoring.score(pieces, data.target, logits=logits).scores


def _overlapping_windows(model: keras.Model, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (outputs, truth) of windows that overlap by half, each token once, in the first window that contains it."""
    length, predicted = model.input_shape[1], len(ids) - 1  # the last token is only predicted
    half = max(length // 2, 1)
    starts = np.arange(0, max(predicted - length, 0) + half, half)
    for window_starts in np.split(starts, range(_WINDOWS, len(starts), _WINDOWS)):
        positions = window_starts[:, None] + np.arange(length)
        new = (positions < predicted) & (
            (window_starts[:, None] == 0) | (positions >= window_starts[:, None] + length - half)
        )
        # The padding of the last window follows all tokens that are scored, so it does not affect them.
        x = np.where(positions < predicted, ids[np.minimum(positions, predicted - 1)], PADDING)
        yield np.asarray(model.predict_on_batch(x), "float32")[new], ids[positions[new] + 1]


def _pieces(read: Callable[[np.ndarray], np.ndarray], ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (outputs, truth) of the text, a piece at a time."""
    for start in range(0, len(ids) - 1, _PIECE):
        x, y = ids[start : start + _PIECE], ids[start + 1 : start + _PIECE + 1]
        # The padding of the last piece follows all tokens that are scored, so it does not affect them.
        row = np.pad(x, (0, _PIECE - len(x)), constant_values=PADDING)[None]
        yield read(row)[:, : len(y)], y
