"""An earlier place of `kzoo.utils.errors`."""

from kzoo.utils.errors import Interrupted as Interrupted
from kzoo.utils.errors import KzooError as KzooError
from kzoo.utils.errors import KzooWarning as KzooWarning
from kzoo.utils.errors import warn as warn
