"""Old name of `kzoo.tasks.classes.inference`, kept for tasks of other packages."""

from kzoo.tasks.classes.inference import answer as answer
from kzoo.tasks.classes.inference import encode as encode
from kzoo.tasks.classes.inference import learn as learn
