"""Exported models behind HTTP: `kzoo serve EXPORTED [EXPORTED ...]`. Starlette and uvicorn over `kzoo.runtime`.

    shelf.py        which models there are, in which versions, and which one answers
    batches.py      rows that came while a model was at work go through it together
    limits.py       how much a request may ask for; JSON that may come from anybody
    kserve.py, tensorflow.py, raw.py    what clients speak: bytes -> inputs, answers -> bytes
    service.py      a request's way through all of these
    front.py        what holds for every request: token, limits, request id, log line, metrics
    app.py          addresses, and what lies at each; process.py: the process, its socket and its end
    about.py, openapi.py, metrics.py    what the server says of models, of itself, and of its work

Neither Keras nor TensorFlow is imported, and a text that comes in is never the path of a file.
"""
