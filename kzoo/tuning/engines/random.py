"""Points drawn at random."""

import keras_tuner as kt

from kzoo.tuning.engines.steady import Steady


class Engine(Steady, kt.oracles.RandomSearchOracle):
    """KerasTuner's own."""
