"""An earlier name of `kzoo.tasks.values.inference`, which tasks of packages may import."""

from kzoo.tasks.values.inference import answer as answer
from kzoo.tasks.values.inference import encode as encode
from kzoo.tasks.values.inference import learn as learn
