"""Hyperparameter search.

What is searched is in `spaces/`, who proposes in `engines/`. `tune` settles a call and runs the `loop`, which has each
trial (`trial`) trained by a process of its own (`worker`). The folder is `records`, `folder` and `search`; what comes
out of it, `winner` and `importance`.
"""
