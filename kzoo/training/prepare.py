"""The network made ready to fit: built, started from trained weights, compiled."""

import math
from dataclasses import dataclass

import keras

from kzoo import __version__, contract
from kzoo.data import Dataset
from kzoo.errors import KzooError
from kzoo.registry import rebuild, spec_of
from kzoo.training.folder import name_of
from kzoo.training.start import copy_weights, freeze_layers, load_start


@dataclass(kw_only=True)
class Job:
    """A network ready to fit: `core` is trained, `saved` is what goes to disk (float32, own units)."""

    model: keras.Model
    core: keras.Model
    saved: keras.Model
    data: Dataset
    spec: dict
    standardize: tuple | None
    onehot: int | None
    training: dict  # the contract as it was compiled: the preset's, with labels as the loss wants them

    def compile(self, *, slower=1.0):
        """Compile the core as its contract says, with the learning rate times `slower`."""
        training = self.training | {"learning_rate": self.training["learning_rate"] * slower}
        steps = math.ceil(len(self.data.train) / training["batch_size"]) * training["epochs"]
        contract.compile_model(
            self.core, task=self.data.task, config=self.spec["config"], training=training, steps=steps
        )


def prepare(own, spec, data, policy, start, freeze, notes):
    """Build, start and compile the network; `spec` gets its resolved config, `notes` a line for what to know.

    Args:
        own: a compiled model of the user's, which is taken as it is, or None.
        policy: the dtype policy to train with.
    """
    training, config = spec["training"], spec["config"]
    spec["kzoo"] = __version__
    if own is not None:
        keras.utils.set_random_seed(spec["seed"])
        onehot = data.outputs if training.get("labels") == "onehot" else None
        return Job(
            model=own, core=own, saved=own, data=data, spec=spec, standardize=None, onehot=onehot, training=training
        )
    if freeze is not None and start is None:
        raise KzooError("freeze= needs start=: fresh layers would stay random.")
    model = _build(spec, policy)
    spec["config"] = spec_of(model)["config"]
    if start is not None:
        _start(model, spec, data, start, freeze, notes)
    saved = model if policy == "float32" else rebuild(spec | {"seed": None}, compile=False)
    core, standardize = model, None
    if any(layer.name == "unscale" for layer in model.layers):
        # The loss sees standardised targets; the layer on top puts the answers back into their own unit.
        core = keras.Model(model.inputs, model.get_layer("unscale").input, name=model.name)
        standardize = (config["target_offset"], config["target_scale"])
        notes.append("While training, loss and metrics are of standardised targets; scores are in their own unit.")
    onehot = None
    wanted = training.get("labels") == "onehot" or contract.needs_onehot(data.task, config, training)
    if wanted and contract.head_of(data.task, config) == "softmax":
        training, onehot = training | {"labels": "onehot"}, config["outputs"]
    job = Job(
        model=model, core=core, saved=saved, data=data, spec=spec, standardize=standardize, onehot=onehot,
        training=training,
    )  # fmt: skip
    job.compile()
    return job


def _build(spec, policy):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return rebuild(spec, compile=False)
    finally:
        keras.config.set_dtype_policy(previous)


def _start(model, spec, data, start, freeze, notes):
    source, vocabulary = load_start(start)
    copied, fresh = copy_weights(
        source, model, old_vocabulary=vocabulary, new_vocabulary=data.preprocessing.get("vocabulary")
    )
    if not copied:
        raise KzooError(f"start={name_of(start)!r} has no layer in common with {spec['preset']}.")
    notes.append(f"Start: copied {len(copied)} layers" + (f"; new: {', '.join(fresh)}." if fresh else "."))
    if freeze is not None:
        freeze_layers(model, freeze, copied)
