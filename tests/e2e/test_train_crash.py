"""Training that is killed, starved and warned at random moments, and stages that follow each other.

CAPSTAN_TEST_KILLS sets how often the run is killed (default 12; 100 takes some minutes).
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
import tiny

STEPS = 240
DROPOUT = {"hidden_dropout_prob": 0.1}


def configure(cache, folder, name, **train):
    settings = {"max_steps": STEPS, "save_steps": 4, "save_total_limit": 3, "logging_steps": 7, "report_to": [],
                "ema": {"decay": 0.9}, **train}
    document = tiny.train_yaml(cache, folder / name, **settings)
    document["model"]["encoder"].update(DROPOUT)
    return tiny.write_yaml(folder / f"{name}.yaml", document)


@pytest.fixture(scope="module")
def straight(capstan, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    begin = time.monotonic()
    capstan("train", configure(cache, folder, "run"), check=True)
    return tiny.tensors(tiny.checkpoint(folder / "run", STEPS)), time.monotonic() - begin


def whole_checkpoints(capstan, run):
    """Every folder that calls itself a checkpoint is one; their number."""
    folders = [path for path in run.glob("checkpoint-*") if not path.name.endswith(".superseded")]
    for folder in folders:
        capstan("inspect", folder, "verify=true", check=True)
    return len(folders)


@pytest.mark.crash
def test_killed_at_random_moments_a_run_ends_in_the_same_bytes(capstan, cache, straight, tmp_path):
    expected, seconds = straight
    kills = int(os.environ.get("CAPSTAN_TEST_KILLS", "12"))
    config = configure(cache, tmp_path, "run")
    moments = random.Random(7)
    done = in_saves = 0
    for kill in range(20 * kills):
        process = capstan.start("train", config)
        # From before the first update to some updates after it; starting takes most of the time.
        time.sleep(moments.uniform(0.1, 0.1 + min(0.8, 0.6 * seconds)))
        process.kill()
        process.communicate()
        if process.returncode == 0:
            shutil.rmtree(tmp_path / "run")  # it was done before: once more from the start
            continue
        assert process.returncode == -signal.SIGKILL
        done += 1
        in_saves += any((tmp_path / "run").glob(".checkpoint-*.tmp-*"))
        if done % 10 == 0 or done == kills:
            whole_checkpoints(capstan, tmp_path / "run")
        if done == kills:
            break
    print(f"killed {done} times, {in_saves} times in the middle of a save")
    assert done == kills
    result = capstan("train", config, check=True)
    assert tiny.tensors(tiny.checkpoint(tmp_path / "run", STEPS)) == expected, result.stderr
    assert whole_checkpoints(capstan, tmp_path / "run") == 3
    steps = [json.loads(line)["step"] for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps) and steps[-1] == STEPS


@pytest.mark.crash
def test_sigusr1_saves_and_the_run_goes_on_to_its_end(capstan, cache, tmp_path):
    process = capstan.start("train", configure(cache, tmp_path, "run", save_steps=0, max_steps=3000,
                                               save_total_limit=0, logging_steps=50))
    metrics = tmp_path / "run/metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    steps = sorted(int(path.name.split("-")[1]) for path in (tmp_path / "run").glob("checkpoint-*"))
    assert len(steps) == 2 and steps[0] < 3000 and steps[1] == 3000


@pytest.mark.crash
def test_a_full_disk_costs_checkpoints_but_not_the_training(capstan, cache, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        config = configure(cache, disk, "run", max_steps=60, save_steps=10, save_total_limit=0)
        result = capstan("train", config)
        assert result.returncode == 1  # the last checkpoint found no room either
        assert "a checkpoint could not be written, those before it are as they were" in result.stderr
        assert "training goes on" in result.stderr
        assert whole_checkpoints(capstan, disk / "run") >= 1
        again = capstan("train", config, "train.save_total_limit=1", f"train.max_steps={60}")
        assert "going on from step" in again.stderr
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.crash
def test_a_shard_that_vanishes_is_an_error_that_names_it(capstan, dataset, tmp_path):
    """Shards are opened when they are first needed; what was trained stays."""
    prepare = tiny.write_yaml(tmp_path / "prepare.yaml", tiny.prepare_yaml(dataset, tmp_path / "cache"))
    capstan("prepare", prepare, check=True)
    config = configure(tmp_path / "cache", tmp_path, "run", max_steps=20, save_steps=10)
    capstan("train", config, check=True)
    shard = next((tmp_path / "cache").glob("train-*.h5"))
    shard.rename(tmp_path / "elsewhere.h5")
    result = capstan("train", config, "train.max_steps=40")
    assert result.returncode == 1
    assert shard.name in result.stderr
    (tmp_path / "elsewhere.h5").rename(shard)
    assert "going on from step 20 of 40" in capstan("train", config, "train.max_steps=40", check=True).stderr


def staged(cache, folder):
    document = tiny.train_yaml(cache, folder / "run", max_steps=10, save_steps=5, report_to=[])
    document["stages"] = [
        {"name": "decoder", "config": {"train": {"freeze": ["encoder"]}}},
        {"name": "whole", "config": {"train": {"learning_rate": 1e-4, "max_steps": 6}}},
    ]
    return tiny.write_yaml(folder / "stages.yaml", document)


def test_stages_follow_each_other_and_go_on_where_they_stopped(capstan, cache, dataset, tmp_path):
    config = staged(cache, tmp_path)
    first = capstan("train", config, check=True)
    assert "stage 1 of 2: decoder" in first.stderr and "stage 2 of 2: whole" in first.stderr
    one, two = tmp_path / "run/01-decoder/checkpoint-10", tmp_path / "run/02-whole/checkpoint-6"
    before = json.loads((two / "config.json").read_text())
    assert before["model_type"] == "vision-encoder-decoder"
    # The encoder was frozen in the first stage and trained in the second.
    from safetensors.numpy import load_file

    name = "encoder.encoder.layer.0.output.dense.weight"
    assert (load_file(one / "model.safetensors")[name] != load_file(two / "model.safetensors")[name]).any()
    # Again: nothing is left to do. Half of the second stage lost: only that is done again.
    again = capstan("train", config, check=True)
    assert "stage 1 of 2" not in again.stderr
    tensors = tiny.tensors(two)
    shutil.rmtree(two)
    capstan("train", config, check=True)
    assert tiny.tensors(two) == tensors
    picture = sorted((dataset / "validation").glob("*.jpg"))[0]
    assert capstan("caption", tmp_path / "run", picture, check=True).stdout


@pytest.mark.parametrize(
    "stages, message",
    [
        ([{"name": "a b"}], "stages.0.name: found 'a b'"),
        ([{"name": "a", "config": {"output": "x"}}], "output belongs to the whole run"),
        ([{"name": "a", "config": {"train": {"learning_rat": 1}}}], "learning_rat"),
    ],
)
def test_what_is_wrong_with_a_stage_is_said(stages, message, capstan, cache, tmp_path):
    document = tiny.train_yaml(cache, tmp_path / "run")
    document["stages"] = stages
    result = capstan("train", tiny.write_yaml(tmp_path / "t.yaml", document))
    assert result.returncode == 2
    assert message in result.stderr
