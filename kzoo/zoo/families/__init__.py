"""The model families: in each file, `build(*, name, ...)` returns an uncompiled functional `keras.Model`."""
