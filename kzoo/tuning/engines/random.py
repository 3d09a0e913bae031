"""Random search."""

import keras_tuner as kt

from kzoo.tuning.engines.base import BaseEngine


class Engine(BaseEngine, kt.oracles.RandomSearchOracle):
    """KerasTuner's random search."""
