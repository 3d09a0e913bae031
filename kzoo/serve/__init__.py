"""HTTP server for exported models: `kzoo serve EXPORTED [EXPORTED ...]`. Starlette and uvicorn over `kzoo.runtime`.

    model_repository.py     models, their versions, and the version that serves requests
    batches.py              runs waiting rows of several requests in one batch
    limits.py               limits of requests, and parsing of untrusted JSON
    codecs.py               requests, replies and inputs, shared by all protocols
    kserve.py, tensorflow.py, raw.py    protocols: bytes -> inputs, outputs -> bytes
    generation.py           continued texts: a request, and a stream of server-sent events
    service.py              passes a request through all of these
    middleware.py           for every request: token, limits, request id, log line, metrics
    app.py                  routes; process.py: the process, its socket and its shutdown
    model_facts.py, openapi.py, metrics.py    descriptions of models, of the API, and counters

Keras and TensorFlow are not imported, and strings in requests are never interpreted as file paths.
"""
