"""Old name of `kzoo.tasks.values.inference`, kept for tasks of other packages."""

from kzoo.tasks.values.inference import answer as answer
from kzoo.tasks.values.inference import encode as encode
from kzoo.tasks.values.inference import learn as learn
