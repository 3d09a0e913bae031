"""What a user may call the hyperparameters of a space, and the errors when there is none of that name."""

from dataclasses import replace

from kzoo.errors import KzooError
from kzoo.registry import hint
from kzoo.tuning.entry import SIZES


def words(space) -> list[str]:
    """Return every name that a user may say: `learning_rate` for all that are one, then each by itself."""
    names = [p.called or p.name for p in space.parameters]
    return list(dict.fromkeys(names + [p.name for p in space.parameters]))


def parameters_called(space, name) -> list:
    """Return the hyperparameters of a name.

    Raises:
        KzooError: there is none, with the nearest name; or it is fixed.
    """
    found = [p for p in space.parameters if p.answers_to(name)]
    if found:
        return found
    if name in space.fixed:
        raise KzooError(f"{name} is fixed to {space.fixed[name]!r}: leave one of the two out.")
    raise KzooError(
        f"Unknown hyperparameter {name!r} of {space.preset.name}, size {space.size!r}. {hint(name, words(space))}"
        f"{_elsewhere(space, name)}It has: {', '.join(words(space)) or 'none'}."
    )


def parameter_named(space, name):
    """Return the hyperparameter of a name that is no setting of the preset.

    Raises:
        KzooError: there is none, with the nearest name; or it is fixed.
    """
    if name in space.fixed:
        raise KzooError(f"{name} is fixed to {space.fixed[name]!r} already.")
    legal = {p.name: p for p in space.parameters}
    if name in legal:
        return legal[name]
    guess = hint(name, [*legal, *space.settings])
    raise KzooError(
        f"Unknown setting {name!r} of {space.preset.name}. {guess}{_elsewhere(space, name)}"
        f"fix() takes a setting of the preset, or one of: {', '.join(legal)}."
    )


def _elsewhere(space, name):
    for size in (space.size, *SIZES):
        whole = replace(space, size=size, fixed={}, narrow_to={}, kept=None)
        if any(p.answers_to(name) for p in whole.parameters):
            return f"It is in size={size!r}. " if size != space.size else "It was left out by only() or fix(). "
    return ""
