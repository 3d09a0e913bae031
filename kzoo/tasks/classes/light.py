"""An earlier name of `kzoo.tasks.classes.inference`, which tasks of packages may import."""

from kzoo.tasks.classes.inference import answer as answer
from kzoo.tasks.classes.inference import encode as encode
from kzoo.tasks.classes.inference import learn as learn
