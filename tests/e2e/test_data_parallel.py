"""Training by several processes over Gloo: the same weights as by one, and what happens when one of them dies."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy
import pytest
import tiny
from safetensors.numpy import load_file

STEPS = 20
# Sums over ranks and over micro-batches add in another order, and Adam divides by the root of small numbers.
TOLERANCE = 1e-6


def configure(folder, cache, name, parallel=None, **train):
    settings = {"per_device_train_batch_size": 8, "max_steps": STEPS, "save_steps": 10, "learning_rate": 1e-3,
                "weight_decay": 0.01, "adam_epsilon": 1e-4, "report_to": [], **train}
    document = tiny.train_yaml(cache, folder / name, **settings)
    for part, keys in {"encoder": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
                       "decoder": ("resid_pdrop", "embd_pdrop", "attn_pdrop")}.items():
        document["model"][part].update({key: train.get("dropout", 0.0) for key in keys})
    document["train"].pop("dropout", None)
    document["parallel"] = {"ddp_timeout": 60, **(parallel or {})}
    return tiny.write_yaml(folder / f"{name}.yaml", document)


def run(capstan, folder, cache, name, parallel=None, **train):
    return capstan("train", configure(folder, cache, name, parallel, **train), check=True)


def weights(folder, name, step=STEPS):
    return load_file(tiny.checkpoint(folder / name, step) / "model.safetensors")


def largest_difference(a, b):
    assert a.keys() == b.keys()
    return max(float(numpy.abs(a[name] - b[name]).max()) for name in a)


@pytest.fixture(scope="module")
def alone(capstan, cache, tmp_path_factory):
    """One process with the whole batch."""
    folder = tmp_path_factory.mktemp("alone")
    run(capstan, folder, cache, "one")
    return weights(folder, "one")


CASES = {
    "1 process, 4 micro-batches of 2": ("1", 2, 4, {}),
    "2 processes of 4": ("2", 4, 1, {}),
    "4 processes of 2": ("4", 2, 1, {}),
    "2 processes, 2 micro-batches of 2": ("2", 2, 2, {}),
    "2 processes, state shared out": ("2", 4, 1, {"zero_stage": 1}),
    "4 processes, state shared out": ("4", 2, 1, {"zero_stage": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_any_number_of_processes_gives_the_weights_of_one(case, alone, capstan, cache, tmp_path):
    processes, batch, accumulation, parallel = CASES[case]
    run(capstan, tmp_path, cache, "many", {"processes": processes, **parallel}, per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation)
    difference = largest_difference(weights(tmp_path, "many"), alone)
    print(f"{case}: largest difference of a weight after {STEPS} updates {difference:.1e}")
    assert difference <= TOLERANCE


def test_a_sharded_optimizer_changes_nothing(capstan, cache, tmp_path):
    for name, stage in (("plain", 0), ("sharded", 1)):
        run(capstan, tmp_path, cache, name, {"processes": 2, "zero_stage": stage}, per_device_train_batch_size=4,
            dropout=0.1, gradient_accumulation_steps=2)
    plain, sharded = (tiny.tensors(tiny.checkpoint(tmp_path / name, STEPS)) for name in ("plain", "sharded"))
    assert plain.keys() == sharded.keys()
    assert plain == sharded


def test_compressed_gradients_stay_close(alone, capstan, cache, tmp_path):
    run(capstan, tmp_path, cache, "bf16", {"processes": 2, "gradient_compression": "bf16"},
        per_device_train_batch_size=4)
    difference = largest_difference(weights(tmp_path, "bf16"), alone)
    print(f"bf16 gradients: largest difference of a weight {difference:.1e}")
    assert 0 < difference <= 2e-3  # a rate of 1e-3 and 8 bits of gradient


def test_every_process_count_resumes_at_the_same_sample(alone, capstan, cache, tmp_path):
    run(capstan, tmp_path, cache, "run", {"processes": 2}, per_device_train_batch_size=4)
    shutil.rmtree(tiny.checkpoint(tmp_path / "run", STEPS))
    again = run(capstan, tmp_path, cache, "run", {"processes": 4}, per_device_train_batch_size=2)
    assert "going on from step 10 of 20" in again.stderr
    assert "changed since the run was started: train.per_device_train_batch_size: 4 -> 2" in again.stderr
    assert largest_difference(weights(tmp_path, "run"), alone) <= TOLERANCE


def test_a_resumed_run_of_two_processes_is_exact_with_dropout(capstan, cache, tmp_path):
    for name in ("straight", "broken"):
        run(capstan, tmp_path, cache, name, {"processes": 2}, per_device_train_batch_size=4, dropout=0.1)
    shutil.rmtree(tiny.checkpoint(tmp_path / "broken", STEPS))
    run(capstan, tmp_path, cache, "broken", {"processes": 2}, per_device_train_batch_size=4, dropout=0.1)
    straight, broken = (tiny.tensors(tiny.checkpoint(tmp_path / name, STEPS)) for name in ("straight", "broken"))
    assert straight == broken


def test_evaluation_by_two_processes_gives_the_scores_of_one(capstan, cache, tmp_path):
    scores = {}
    for processes in (1, 2):
        name = f"run{processes}"
        run(capstan, tmp_path, cache, name, {"processes": processes},
            per_device_train_batch_size=8 // processes, eval_strategy="steps", eval_steps=20, eval_max_images=15)
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        scores[processes] = next(line for line in lines if "eval_loss" in line)
    for key in ("eval_loss", "eval_rouge1", "eval_rougeL"):
        assert scores[2][key] == pytest.approx(scores[1][key], abs=1e-4), key


def torchrun(config, capstan, *options):
    program = pathlib.Path(sys.executable).parent / "torchrun"
    if not program.exists():
        pytest.skip("torchrun is not installed beside this Python")
    command = [program, "--nproc-per-node", "2", "--no-python", *options, capstan.path, "train", config]
    return subprocess.Popen([str(word) for word in command], env=capstan.environment(), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def children(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.name))
    return found


def workers_of(process, count, run_folder, deadline=60):
    """The training processes, once training has begun."""
    end = time.monotonic() + deadline
    while time.monotonic() < end and process.poll() is None:
        pids = [pid for pid in children(process.pid) if b"capstan" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
        metrics = run_folder / "metrics.jsonl"
        if len(pids) == count and metrics.exists() and metrics.stat().st_size > 0:
            return pids
        time.sleep(0.02)
    pytest.fail(f"training did not begin: {process.communicate()[0]}")


@pytest.mark.crash
def test_torchrun_restarts_a_run_that_lost_a_process(capstan, cache, tmp_path):
    settings = {"per_device_train_batch_size": 4, "max_steps": 300, "save_steps": 25, "logging_steps": 10,
                "dropout": 0.1}
    run(capstan, tmp_path, cache, "straight", {"processes": 2}, **settings)
    config = configure(tmp_path, cache, "killed", None, **settings)
    process = torchrun(config, capstan, "--standalone", "--max-restarts", "3")
    workers = workers_of(process, 2, tmp_path / "killed")
    time.sleep(random.Random(4).uniform(0.1, 0.6))
    os.kill(workers[1], signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    straight, killed = (tiny.tensors(tiny.checkpoint(tmp_path / name, 300)) for name in ("straight", "killed"))
    assert straight == killed


@pytest.mark.crash
@pytest.mark.parametrize("rank", [0, 1])
def test_when_a_process_dies_all_end_soon_and_the_run_goes_on_later(rank, capstan, cache, tmp_path):
    settings = {"per_device_train_batch_size": 4, "max_steps": 2000, "save_steps": 50, "logging_steps": 10}
    config = configure(tmp_path, cache, "run", {"processes": 2}, **settings)
    process = capstan.start("train", config)
    workers = workers_of(process, 2, tmp_path / "run")
    by_rank = {}
    for pid in workers:
        environment = pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0")
        by_rank[next(int(word[5:]) for word in environment if word.startswith("RANK="))] = pid
    begin = time.monotonic()
    os.kill(by_rank[rank], signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert process.returncode == 128 + signal.SIGKILL, output
    assert "rank" in output
    assert capstan("train", config, "train.max_steps=60", check=True).stdout.startswith("done")


@pytest.mark.crash
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_all_processes_with_a_checkpoint(number, code, capstan, cache, tmp_path):
    settings = {"per_device_train_batch_size": 4, "max_steps": 100000, "save_steps": 0, "logging_steps": 100}
    process = capstan.start("train", configure(tmp_path, cache, "run", {"processes": 2}, **settings))
    workers_of(process, 2, tmp_path / "run")
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert len(list((tmp_path / "run").glob("checkpoint-*/manifest.json"))) == 1


def test_the_main_process_alone_speaks(capstan, cache, tmp_path):
    result = run(capstan, tmp_path, cache, "run", {"processes": 2}, per_device_train_batch_size=4, max_steps=5)
    assert result.stdout.count("done at step 5") == 1
    assert result.stderr.count("trainable parameters") == 1
