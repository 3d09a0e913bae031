"""`generate`: continue a text with a language model; and scores of language models that keep their state."""

import os
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.windows import series_of
from kzoo.inference.kinds.text.generation import Generation, Sampling
from kzoo.inference.kinds.text.tokenizer import PADDING
from kzoo.inference.predictions import probabilities
from kzoo.problems.tasks import problems_with_facts
from kzoo.training.score import forward, run_gives_logits
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.registry import general_first, list_presets, rebuild, spec_of
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import as_run

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
    window, as in training, and so does any exported model (`kzoo.runtime.Model.generate`).

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

    Examples:
        >>> text = kzoo.generate("char_gru", "To be", length=40, temperature=0.5, seed=0)
        >>> text.startswith("To be"), len(text)
        (True, 45)
    """
    sampling = Sampling(length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    return prompt + "".join(stream(as_run(run, weights), prompt, sampling))


def stream(run: Run, prompt: str, sampling: Sampling) -> Iterator[str]:
    """Return an iterator over the texts that each token adds to the prompt.

    Raises:
        KzooError: see `generate`.
    """
    check_continues(run)
    generation = Generation(run.preprocessing, prompt, sampling)
    predict_next = _next_token_reader(run, generation)
    return (generation.add(predict_next()) for _ in range(sampling.length))


def check_continues(run: Run) -> None:
    """Raise KzooError unless a run is of a language model."""
    if not run.problem.continues_inputs:
        presets = [
            name
            for problem in problems_with_facts("continues")
            for name in list_presets(task=problem.name)
        ]
        names = ", ".join(general_first(presets))
        raise KzooError(
            f"{run.path} is a run of {run.data.task}, but only language models generate text. Presets: {names}."
        )


def _next_token_reader(run: Run, generation: Generation) -> Callable[[], np.ndarray]:
    """Return a function that returns p (V,) of the token after the text so far."""
    model, logits = run.model, run_gives_logits(run)
    # A model trained only on the last step of full windows has never predicted after more than one window.
    read: Any = stateful_reader(model, 1) if _config(model).get("pooling", "last") is None else None

    def step() -> np.ndarray:
        for token in generation.take_unread():
            outputs = read(np.array([[token]], np.int32))
        return outputs[0, 0]

    def whole_window() -> np.ndarray:
        return generation.last_step(forward(model, generation.window(), 1))

    predict_next = whole_window if read is None else step
    return lambda: probabilities(predict_next()[None], logits)[0]


def _config(model: keras.Model) -> JsonObject:
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
    if (
        "stateful" not in config
        or config["bidirectional"]
        or config["pooling"] not in (None, "last")
    ):
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


def _with_state_inputs(model: keras.Model, config: JsonObject, steps: int) -> keras.Model:
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
        states = [
            keras.Input((int(size),), batch_size=1) for size in np.atleast_1d(layer.cell.state_size)
        ]
        with_states = type(layer).from_config(layer.get_config() | {"return_state": True})
        x, *next_states = with_states(x, initial_state=states)
        states_in, states_out = states_in + states, states_out + next_states
    return keras.Model([ids, *states_in], [x, *states_out])


def score_stateful(
    model: keras.Model, part: Split, data: Dataset, *, logits: bool | None
) -> JsonObject:
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
            "needs a language model with outputs at each step, and data from one text; this is not the "
            f"case for {model.name!r} with this data: omit it.",
            argument="stateful",
            value=True,
        )
    return data.problem.task.scoring.score(pieces, data.target, logits=logits).scores


def _overlapping_windows(
    model: keras.Model, ids: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (outputs, truth) of windows that overlap by half, each token once, in the first window that contains it."""
    length = model.input_shape[1]  # the last token is only predicted
    predicted = len(ids) - 1
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


def _pieces(
    read: Callable[[np.ndarray], np.ndarray], ids: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (outputs, truth) of the text, a piece at a time."""
    for start in range(0, len(ids) - 1, _PIECE):
        x = ids[start : start + _PIECE]
        y = ids[start + 1 : start + _PIECE + 1]
        # The padding of the last piece follows all tokens that are scored, so it does not affect them.
        row = np.pad(x, (0, _PIECE - len(x)), constant_values=PADDING)[None]
        yield read(row)[:, : len(y)], y
