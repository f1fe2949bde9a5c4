"""From pictures to captions: every command in the order of the README, and runs that are stopped on the way."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import tiny


@pytest.fixture(scope="module")
def straight(capstan, cache, tmp_path_factory):
    """200 steps in one go: what stopped runs must end in, byte for byte."""
    folder = tmp_path_factory.mktemp("straight")
    config = tiny.write_yaml(folder / "train.yaml", tiny.train_yaml(cache, folder / "run", max_steps=200))
    capstan("train", config, check=True)
    return tiny.tensors(tiny.checkpoint(folder / "run", 200))


def test_cache_opens_in_h5py_and_holds_each_picture_once(cache):
    import h5py

    images = 0
    for shard in sorted(cache.rglob("*.h5")):
        with h5py.File(shard) as file:
            shapes = {}
            file.visititems(lambda name, item: shapes.update({name: item.shape}) if hasattr(item, "shape") else None)
            images += next(shape[0] for shape in shapes.values() if shape[1:] == (32, 32, 3))
    assert images == 48 + 16


def test_run_folder_is_complete(run):
    assert (run / "config.yaml").exists()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] / 2
    for step in (60, 120):
        names = {file.name for file in tiny.checkpoint(run, step).iterdir()}
        assert {
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "preprocessor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
        } <= names


def test_evaluation_writes_scores_and_captions(capstan, cache, run, tmp_path):
    result = capstan(
        "evaluate", f"model={run}", f"data={cache}", "split=validation", f"output={tmp_path}/report", check=True
    )
    report = json.loads((tmp_path / "report/evaluation.json").read_text())
    assert set(report["scores"]) >= {"rouge1", "rouge2", "rougeL", "rougeLsum"}
    assert 0.2 < report["scores"]["rougeL"] <= 1
    assert len(report["captions"]) == 16
    assert "rougeL" in result.stdout


def test_evaluation_scores_equal_rouge_score(capstan, cache, run, tmp_path):
    from rouge_score.rouge_scorer import RougeScorer

    capstan("evaluate", f"model={run}", f"data={cache}", "split=validation", f"output={tmp_path}/report", check=True)
    report = json.loads((tmp_path / "report/evaluation.json").read_text())
    keys = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = RougeScorer(keys, use_stemmer=True)
    for key in keys:
        best = [
            max(scorer.score(reference, one["prediction"])[key].fmeasure for reference in one["references"])
            for one in report["captions"]
        ]
        assert report["scores"][key] == pytest.approx(sum(best) / len(best), abs=1e-9)


def test_captions_of_pictures_differ_and_json_lines_agree(capstan, run, dataset):
    pictures = sorted((dataset / "validation").glob("*.jpg"))[:8]
    lines = capstan("caption", run, *pictures, check=True).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [str(picture) for picture in pictures]
    assert len({line.split("\t")[1] for line in lines}) > 2
    objects = [
        json.loads(line) for line in capstan("caption", run, *pictures, "output=json", check=True).stdout.splitlines()
    ]
    assert [f"{one['path']}\t{one['caption']}" for one in objects] == lines


def test_exported_onnx_gives_the_same_captions(capstan, repo, run, exported, dataset):
    pictures = sorted((dataset / "validation").glob("*.jpg"))
    ours = capstan("caption", run, *pictures, check=True).stdout
    script = repo / "tools/caption_onnx.py"
    theirs = subprocess.run(
        [sys.executable, script, exported, *pictures], capture_output=True, text=True, check=True
    ).stdout
    assert ours == theirs


def test_exported_folder_gives_the_same_captions(capstan, run, exported, dataset):
    pictures = sorted((dataset / "validation").glob("*.jpg"))
    assert (
        capstan("caption", run, *pictures, check=True).stdout
        == capstan("caption", exported, *pictures, check=True).stdout
    )


DATA_OPTIONS = {
    "captions": "random",
    "group_by_length": True,
    "dataloader_num_workers": 3,
    "augment": [
        {"name": "random_resized_crop", "config": {"scale": [0.5, 1.0], "resample": [2, 3]}},
        "rand_augment",
        {"name": "color_jitter", "config": {"brightness": 0.3, "hue": 0.1}},
    ],
}


@pytest.mark.parametrize("options", [{}, DATA_OPTIONS], ids=["plain", "augmented"])
def test_twenty_and_twenty_steps_equal_forty(capstan, cache, tmp_path, options):
    for name, limits in {"once": (40,), "twice": (20, 40)}.items():
        for limit in limits:
            settings = {"max_steps": limit, "lr_scheduler_type": "constant", **options}
            document = tiny.train_yaml(cache, tmp_path / name, **settings)
            capstan("train", tiny.write_yaml(tmp_path / f"{name}.yaml", document), check=True)
    once, twice = (tiny.tensors(tiny.checkpoint(tmp_path / name, 40)) for name in ("once", "twice"))
    assert len(once) >= 2  # weights and optimizer
    assert once == twice


def wait_for(path, process, seconds=120):
    limit = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, f"the run ended before {path.name}: {process.stdout.read()}"
        assert time.monotonic() < limit, f"no {path.name} within {seconds} s"
        time.sleep(0.002)


@pytest.mark.crash
def test_run_killed_in_the_middle_ends_in_the_same_bytes(capstan, cache, straight, tmp_path):
    config = tiny.write_yaml(tmp_path / "train.yaml", tiny.train_yaml(cache, tmp_path / "run", max_steps=200))
    for step in (20, 80):
        process = capstan.start("train", config)
        wait_for(tiny.checkpoint(tmp_path / "run", step), process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not tiny.checkpoint(tmp_path / "run", 200).exists()
    capstan("train", config, check=True)
    assert tiny.tensors(tiny.checkpoint(tmp_path / "run", 200)) == straight
    steps = [json.loads(line)["step"] for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


@pytest.mark.crash
@pytest.mark.parametrize("name, code", [("SIGTERM", 143), ("SIGINT", 130)])
def test_run_that_is_asked_to_stop_saves_and_continues_exactly(capstan, cache, straight, tmp_path, name, code):
    config = tiny.write_yaml(tmp_path / "train.yaml", tiny.train_yaml(cache, tmp_path / "run", max_steps=200))
    process = capstan.start("train", config)
    wait_for(tiny.checkpoint(tmp_path / "run", 20), process)
    time.sleep(0.05)
    os.kill(process.pid, getattr(signal, name))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    steps = [int(path.name.split("-")[1]) for path in (tmp_path / "run").glob("checkpoint-*")]
    assert 20 <= max(steps) < 200
    capstan("train", config, check=True)
    assert tiny.tensors(tiny.checkpoint(tmp_path / "run", 200)) == straight


@pytest.mark.crash
def test_damaged_newest_checkpoint_is_passed_over(capstan, cache, straight, tmp_path):
    config = tiny.write_yaml(tmp_path / "train.yaml", tiny.train_yaml(cache, tmp_path / "run", max_steps=200))
    process = capstan.start("train", config)
    wait_for(tiny.checkpoint(tmp_path / "run", 60), process)
    process.kill()
    process.communicate()
    newest = max((tmp_path / "run").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    result = capstan("train", config, check=True)
    assert newest.name in result.stdout + result.stderr
    assert tiny.tensors(tiny.checkpoint(tmp_path / "run", 200)) == straight


def test_finished_run_ends_at_once(capstan, cache, run):
    begun = time.monotonic()
    result = capstan("train", run / "config.yaml", check=True)
    assert time.monotonic() - begun < 20
    assert "step 120" in result.stdout
