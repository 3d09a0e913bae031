"""Former location of `kzoo.inference.encode`; a real module, so that `kzoo.data.encode` stays the function."""

from kzoo.inference.encode import encode as encode
