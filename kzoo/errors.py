"""Former location of `kzoo.utils.errors`, for compatibility."""

from kzoo.utils.errors import Interrupted as Interrupted
from kzoo.utils.errors import KzooError as KzooError
from kzoo.utils.errors import KzooWarning as KzooWarning
from kzoo.utils.errors import warn as warn
