"""TensorBoard's HParams page: one small event file for each trial, where TensorBoard is installed."""

import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from kzoo.files import whole_file


def write_hparams(folder, record):
    """Write a trial's hyperparameters and its curves; nothing without TensorBoard.

    Args:
        folder: the search's; the file goes to `tensorboard/0000/` in it.
        record: a finished trial's.
    """
    if find_spec("tensorboard") is None:
        return
    event_pb2 = import_module("tensorboard.compat.proto.event_pb2")
    summary_pb2 = import_module("tensorboard.compat.proto.summary_pb2")
    hparams_pb = import_module("tensorboard.plugins.hparams.summary_v2").hparams_pb
    place = Path(folder) / "tensorboard" / f"{record['trial']:04d}"
    place.mkdir(parents=True, exist_ok=True)
    name, now = f"trial {record['trial']}", time.time()
    events = [
        event_pb2.Event(wall_time=now, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=now, summary=hparams_pb(record["hyperparameters"], name, now - record["seconds"])),
    ]
    for metric, values in record["history"].items():
        for epoch, value in enumerate(values):
            if value is not None:
                summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=metric, simple_value=value)])
                events.append(event_pb2.Event(wall_time=now, step=epoch, summary=summary))
    if record["score"] is not None:
        summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="score", simple_value=record["score"])])
        events.append(event_pb2.Event(wall_time=now, step=record["best_epoch"] - 1, summary=summary))
    writer = import_module("tensorboard.summary.writer.record_writer").RecordWriter
    with whole_file(place / "events.out.tfevents.0.kzoo", sync=False) as temporary, open(temporary, "wb") as file:
        records = writer(file)
        for event in events:
            records.write(event.SerializeToString())
