"""A network as a list of simple steps on flat buffers, from which source code in other languages is written."""
