"""Hyperparameter search.

`tune` is the entry point: it checks the arguments, plans the search (`plan`) and runs the `loop`. `spaces/` defines
what is searched, `engines/` propose trials, and a worker process (`kzoo.training.workers`) trains each one (`trial`).
`records`, `folder` and `search` are the folder of a search; `winner` and `importance` use its results.
"""
