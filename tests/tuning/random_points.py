"""Points of a space, drawn as KerasTuner draws them."""

import keras_tuner


def default_point(space):
    """Return the `HyperParameters` of the default point."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    return hp


def random_point(space, seed):
    """Return the `HyperParameters` of a random point, with the active values alone."""
    hp = default_point(space)
    hp.values = {}
    for i, parameter in enumerate(hp.space):
        if hp.is_active(parameter):
            hp.values[parameter.name] = parameter.random_sample(1000 * seed + i)
    return hp
