"""Our event files through tensorboard's own reader."""

import json
import math
import pathlib
import subprocess

import pytest
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.util import tensor_util


def write(probe, folder, orders, steps_done=0):
    """The path of the new file, after the probe has carried out the orders; and the probe's exit status."""
    script = "".join(json.dumps(order) + "\n" for order in orders)
    command = [probe, "events", str(folder), str(steps_done)]
    result = subprocess.run(command, input=script, capture_output=True, text=True)
    return pathlib.Path(result.stdout.strip()), result.returncode


def scalars(first, last, tag="train/loss", scale=1.0):
    return [{"scalar": [tag, step, scale * step]} for step in range(first, last + 1)]


def read(path, accumulator=event_accumulator):
    events = accumulator.EventAccumulator(str(path))
    events.Reload()
    return events


def points(events, tag="train/loss"):
    return [(point.step, point.value) for point in events.Scalars(tag)]


def test_scalars_are_read_back(probe, tmp_path):
    values = [2.5, -1e-8, 1e30, 0.0]
    orders = [{"scalar": ["train/loss", 10 * i, value]} for i, value in enumerate(values)]
    path, status = write(probe, tmp_path / "new/folder", [*orders, {"scalar": ["eval/rougeL", 30, 0.417]}])
    assert status == 0
    events = read(path.parent)
    assert events.file_version == 2
    assert events.Tags()["scalars"] == ["train/loss", "eval/rougeL"]
    assert points(events) == [(10 * i, pytest.approx(value, rel=1e-6)) for i, value in enumerate(values)]
    assert events.Scalars("eval/rougeL")[0].wall_time == pytest.approx(path.stat().st_mtime, abs=60)


def test_values_that_are_no_numbers_are_read_back(probe, tmp_path):
    write(probe, tmp_path, [{"scalar": ["a", i, text]} for i, text in enumerate(("nan", "inf", "-inf"))])
    values = [value for _, value in points(read(tmp_path), "a")]
    assert math.isnan(values[0]) and values[1:] == [math.inf, -math.inf]


def test_images_and_text_are_read_back(probe, tmp_path):
    file = tmp_path / "picture.png"
    Image.new("RGB", (5, 3), (10, 200, 30)).save(file)
    orders = [{"image": ["samples/0", 7, 3, 5, str(file)]}, {"text": ["captions", 7, "a *dog* \u00e9 <b>"]}]
    write(probe, tmp_path / "events", orders)
    events = read(tmp_path / "events")
    (image,) = events.Images("samples/0")
    assert (image.step, image.height, image.width) == (7, 3, 5)
    assert image.encoded_image_string == file.read_bytes()
    assert events.Tags()["tensors"] == ["captions"]
    (text,) = events.Tensors("captions")
    assert text.step == 7
    assert tensor_util.make_ndarray(text.tensor_proto).tolist() == ["a *dog* \u00e9 <b>".encode()]
    assert events.SummaryMetadata("captions").plugin_data.plugin_name == "text"


@pytest.mark.parametrize("accumulator", [event_accumulator, plugin_event_accumulator])
def test_a_run_that_goes_on_replaces_what_the_crashed_try_wrote_after_it(probe, tmp_path, accumulator):
    """The second is the accumulator that TensorBoard's own server uses."""
    write(probe, tmp_path, scalars(1, 20))
    write(probe, tmp_path, scalars(11, 15, scale=100.0), steps_done=10)
    events = read(tmp_path, accumulator)
    if accumulator is event_accumulator:
        found = points(events)
    else:
        found = [(p.step, float(tensor_util.make_ndarray(p.tensor_proto))) for p in events.Tensors("train/loss")]
    assert found == [(step, step) for step in range(1, 11)] + [(step, 100.0 * step) for step in range(11, 16)]


def test_a_fresh_run_in_an_old_folder_replaces_everything(probe, tmp_path):
    write(probe, tmp_path, scalars(0, 20))
    write(probe, tmp_path, scalars(0, 3, scale=100.0))
    assert points(read(tmp_path)) == [(step, 100.0 * step) for step in range(4)]


def test_a_rolled_back_run_replaces_its_own_points(probe, tmp_path):
    orders = [*scalars(1, 9), {"go_on_after": 5}, *scalars(6, 7, scale=100.0)]
    write(probe, tmp_path, orders)
    assert points(read(tmp_path)) == [(step, step) for step in range(1, 6)] + [(6, 600), (7, 700)]


def test_what_was_flushed_survives_a_kill(probe, tmp_path):
    orders = [*scalars(1, 5), {"flush": True}, *scalars(6, 9), {"kill": True}]
    path, status = write(probe, tmp_path, orders)
    assert status == -9
    assert points(read(tmp_path)) == [(step, step) for step in range(1, 6)]


def test_a_torn_file_hides_neither_its_points_nor_the_next_file(probe, tmp_path):
    """As after a power cut: the last record is half there."""
    path, _ = write(probe, tmp_path, scalars(1, 9))
    path.write_bytes(path.read_bytes()[:-20])
    write(probe, tmp_path, scalars(6, 12, scale=100.0), steps_done=5)
    expected = [(step, step) for step in range(1, 6)] + [(step, 100.0 * step) for step in range(6, 13)]
    assert points(read(tmp_path)) == expected
