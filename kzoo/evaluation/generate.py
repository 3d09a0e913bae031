"""`generate`: a language model continues a text; and its score when it remembers the whole text."""

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
from kzoo.tasks import with_facts
from kzoo.training.score import forward, gives_logits
from kzoo.untracked import as_run
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError

_MOST = 1_000_000  # tokens to write, or to choose from
_PIECE = 256  # tokens in a call, to score
_WINDOWS = 32  # in a call


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
    """Go on with a text, token by token, each drawn from what the model expects.

    A recurrent model that answers at every step remembers all of the text. Any other model sees its last window,
    as in training.

    Args:
        run: the run of a language model, or its path; or the name of a preset that has weights in the package.
        prompt: what the text begins with. Tokens that the model does not know count as unknown. An empty prompt
            stands for the start of a line, or, where there are no lines, for the most frequent token.
        length: characters or words to add.
        temperature: 1 draws from the model's own probabilities, less is safer, more is wilder; 0 always takes the
            likeliest token.
        top_k: draw from this many of the likeliest tokens; None: from all.
        top_p: draw from the likeliest tokens that have this share of the probability together, at the temperature and
            among those of `top_k` (nucleus sampling, https://arxiv.org/abs/1904.09751); None: from all.
        seed: of the draw: the same seed gives the same text.
        weights: which ones, where a preset has several.

    Returns:
        The prompt and what follows. Padding and unknown tokens are never drawn.

    Raises:
        KzooError: no language model, a value out of range, or a prompt without a known token.
    """
    run = as_run(run, weights)
    _check(run, prompt, length, temperature, top_k, top_p)
    check_seed(seed)
    tokenizer, random = tokenizer_of(run.preprocessing), np.random.default_rng(seed)
    unread, read, new = _ids_of(prompt, tokenizer), _reader(run.model, run.preprocessing["length"]), []
    for _ in range(length):
        words = read(unread)[UNKNOWN + 1 : len(tokenizer)]  # neither padding nor the unknown
        unread = [UNKNOWN + 1 + _draw(words, temperature, top_k, top_p, random)]
        new += unread
    between = " " if prompt and tokenizer.level == "words" else ""
    return prompt + between + tokenizer.decode(new)


def _check(run: Run, prompt: Any, length: Any, temperature: Any, top_k: Any, top_p: Any) -> None:
    task = run.data.task
    if "continues" not in run.problem.facts:
        names = ", ".join(general_first(n for one in with_facts("continues") for n in list_presets(task=one.name)))
        raise KzooError(f"{run.path} is a run of {task}; language models write text. Presets for it: {names}.")
    if not isinstance(prompt, str):
        raise KzooError(f"prompt={prompt!r} must be a text.")
    for name, value in (("length", length), ("top_k", 1 if top_k is None else top_k)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= _MOST:
            raise KzooError(f"{name}={value!r} must be a whole number from 1 to {_MOST}.")
    if not _is_number(temperature) or temperature < 0:
        raise KzooError(f"temperature={temperature!r} must be a number of at least 0.")
    if top_p is not None and not (_is_number(top_p) and 0 < top_p <= 1):
        raise KzooError(f"top_p={top_p!r} must be a share above 0, and at most 1.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _ids_of(prompt: str, tokenizer: Any) -> list[int]:
    if not prompt:
        return tokenizer.ids("\n") if "\n" in tokenizer.vocabulary else [UNKNOWN + 1]  # ids follow the frequency
    ids = tokenizer.ids(prompt)
    if set(ids) <= {UNKNOWN}:
        strange = ", ".join(repr(t) for t in dict.fromkeys(tokenizer.split(prompt))) or repr(prompt)
        raise KzooError(f"The model knows nothing of this prompt: {strange}. Begin with {tokenizer.level} it has seen.")
    return ids


def _reader(model: keras.Model, window: int) -> Callable[[list[int]], np.ndarray]:
    """Return a function that takes the tokens which follow those read before, and gives the next one's p (V,)."""
    # A model trained on the last step of full windows alone has never answered after more than one window.
    read: Any = reader_with_memory(model, 1) if _config_of(model).get("pooling", "last") is None else None
    logits, seen = gives_logits(model), []

    def step(ids: list[int]) -> np.ndarray:
        for token in ids:
            answer = read(np.array([[token]], np.int32))
        return answer[0, 0]

    def whole_window(ids: list[int]) -> np.ndarray:
        seen.extend(ids)
        last = seen[-window:]
        row = np.array([last + [PADDING] * (window - len(last))], np.int32)
        answer = forward(model, row, 1)[0]
        return answer[len(last) - 1] if answer.ndim == 2 else answer

    answer_to = whole_window if read is None else step
    return lambda ids: probabilities(answer_to(ids)[None], logits)[0].astype("float64")


def _draw(
    p: np.ndarray, temperature: float, top_k: int | None, top_p: float | None, random: np.random.Generator
) -> int:
    """Draw a place of p (V,); p need not sum to 1."""
    best = np.argsort(-p, kind="stable")[: 1 if temperature == 0 else top_k]
    if len(best) == 1:
        return int(best[0])
    logits = np.log(np.maximum(p[best], 1e-300))
    weights = np.exp((logits - logits[0]) / temperature)
    weights /= weights.sum()
    if top_p is not None:
        before = np.cumsum(weights) - weights  # the share of those that are likelier
        weights = np.where(before < top_p, weights, 0.0)
        weights /= weights.sum()
    return int(random.choice(best, p=weights))


def _config_of(model: keras.Model) -> dict[str, Any]:
    try:
        return spec_of(model)["config"]
    except KzooError:
        return {}  # a model of one's own


def reader_with_memory(model: keras.Model, steps: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function that reads one text, `steps` tokens a call, and remembers what it read before.

    The state goes in and comes out, as an argument and an answer, instead of staying in layers with `stateful=True`:
    these forget from call to call of `predict_on_batch` on Keras' JAX backend.

    Args:
        model: a model that kzoo built.
        steps: tokens in a call.

    Returns:
        Ids (1, steps) -> answers at each step (1, steps, V); or None where there is no state to carry: no recurrent
        layers, a layer that also reads backwards, or an answer to the mean of all steps.
    """
    config = _config_of(model)
    if "stateful" not in config or config["bidirectional"] or config["pooling"] not in (None, "last"):
        return None
    networks = _networks.setdefault(model, {})
    if steps not in networks:
        networks[steps] = _with_memory(model, config, steps)
    network = networks[steps]
    for layer in model.layers:
        if layer.weights:  # they may have changed since
            network.get_layer(layer.name).set_weights(layer.get_weights())
    memory = [np.zeros(state.shape, "float32") for state in network.inputs[1:]]

    def read(row: np.ndarray) -> np.ndarray:
        answers, *memory[:] = network.predict_on_batch([row, *memory])
        return np.asarray(answers, "float32")

    return read


# Model -> tokens in a call -> the network with memory, which takes half a second to build and to trace.
_networks: WeakKeyDictionary[keras.Model, dict[int, keras.Model]] = WeakKeyDictionary()


def _with_memory(model: keras.Model, config: dict[str, Any], steps: int) -> keras.Model:
    """Build what reads `steps` tokens and its states, and answers with the next ones too; its weights are random."""
    config = config | dict(stateful=False, pooling=None, input_shape=(steps,))
    plain = rebuild(spec_of(model) | dict(config=config, seed=None), compile=False)
    x = ids = keras.Input((steps,), batch_size=1, dtype="int32")
    before: list[Any] = []
    after: list[Any] = []
    for layer in plain.layers[1:]:  # one after the other, since there is an answer at each step
        if not isinstance(layer, keras.layers.RNN):
            x = layer(x)
            continue
        states = [keras.Input((int(size),), batch_size=1) for size in np.atleast_1d(layer.cell.state_size)]
        telling = type(layer).from_config(layer.get_config() | {"return_state": True})
        x, *new = telling(x, initial_state=states)
        before, after = before + states, after + new
    return keras.Model([ids, *before], [x, *after])


def score_stateful(model: keras.Model, part: Split, data: Dataset, *, logits: bool | None) -> dict[str, Any]:
    """Score a language model on a split in one pass: each token but the first is predicted from what came before it.

    A recurrent network has all of it in mind. The window of a causal Transformer moves on by half its length, so that
    each token behind the first window is predicted from half a window at least.

    Args:
        logits: what its answers are (see `kzoo.training.score.gives_logits`).
    """
    pieces = None
    if (ids := series_of(part.x)) is not None:
        config = _config_of(model)
        if config.get("causal") and config["pooling"] is None:
            pieces = _overlapping(model, ids)
        elif read := reader_with_memory(model, _PIECE):
            pieces = _pieces(read, ids)
    if pieces is None:
        raise KzooError(
            f"stateful=True takes a language model with an answer at each step through one text, and {model.name!r} "
            "with this data is none: leave it out."
        )
    return data.problem.task.scoring.score(pieces, data.target, logits=logits).scores


def _overlapping(model: keras.Model, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (answers, truth) of windows that overlap by half: of the first all, of others what no earlier one saw."""
    length, asked = model.input_shape[1], len(ids) - 1  # the last token is only an answer
    half = max(length // 2, 1)
    starts = np.arange(0, max(asked - length, 0) + half, half)
    for some in np.split(starts, range(_WINDOWS, len(starts), _WINDOWS)):
        places = some[:, None] + np.arange(length)
        new = (places < asked) & ((some[:, None] == 0) | (places >= some[:, None] + length - half))
        # What fills up the last window comes after all that is scored.
        x = np.where(places < asked, ids[np.minimum(places, asked - 1)], PADDING)
        yield np.asarray(model.predict_on_batch(x), "float32")[new], ids[places[new] + 1]


def _pieces(read: Callable[[np.ndarray], np.ndarray], ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (answers, truth), a piece of the text at a time."""
    for start in range(0, len(ids) - 1, _PIECE):
        x, y = ids[start : start + _PIECE], ids[start + 1 : start + _PIECE + 1]
        # What fills up the last piece comes after all that is scored.
        row = np.pad(x, (0, _PIECE - len(x)), constant_values=PADDING)[None]
        yield read(row)[:, : len(y)], y
