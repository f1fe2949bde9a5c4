"""Ranks as processes: sums, gradients, dead and silent ranks, our launcher, torchrun and SLURM's variables."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file

LAUNCHER_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")


def environment(**changes):
    """Nothing of a launcher that the tests themselves may run under."""
    kept = {k: v for k, v in os.environ.items() if k not in LAUNCHER_VARIABLES and not k.startswith("SLURM_")}
    return {**kept, **{k: str(v) for k, v in changes.items()}}


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def launch(probe):
    """launch(2, "parallel-sums", 30): that many ranks of the probe under our launcher, started."""
    started = []

    def start(number, *command, grace=5, env=None, under=()):
        process = subprocess.Popen(
            [*map(str, under), str(probe), "parallel-launch", str(number), str(grace), *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env or environment(),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(process, timeout=60):
    """Its exit code, output, messages and how long it still took."""
    start = time.monotonic()
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err, time.monotonic() - start


def read_pids(process, number):
    """pid by rank from the lines "ready RANK PID"."""
    pids = {}
    while len(pids) < number:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        if match := re.fullmatch(r"ready (\d+) (\d+)\n", line):
            pids[int(match[1])] = int(match[2])
    return pids


def is_gone(pid, patience=10):
    """Whether the process ends within `patience` seconds; one that only waits to be collected has ended."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [1, 2, 4])
def test_every_operation_between_processes(launch, number):
    code, out, err, _ = finish(launch(number, "parallel-sums", 30))
    assert code == 0, err
    total = number * (number - 1) / 2
    assert json.loads(out) == {
        "sum": [number * i + total for i in range(5)],
        "max": number - 1,
        "sent": number - 1,
        "late": number * (number + 1) / 2,
        "texts": ["xxx" * rank for rank in range(number)],
        "some": True,
        "none": False,
    }


@pytest.mark.parametrize("number,accumulation", [(2, 1), (2, 2), (4, 1), (4, 2)])
def test_gradients_equal_those_of_one_process_with_the_whole_batch(launch, probe, tmp_path, number, accumulation):
    whole, shared = tmp_path / "whole.safetensors", tmp_path / "shared.safetensors"
    subprocess.run([probe, "parallel-gradients", "3", "1", "none", whole], check=True, env=environment())
    code, _, err, _ = finish(launch(number, "parallel-gradients", 3, accumulation, "none", shared))
    assert code == 0, err
    expected, found = load_file(whole), load_file(shared)
    assert expected.keys() == found.keys() and len(found) == 3 * 6
    for name in expected:
        assert abs(expected[name]).max() > 1e-3
        assert abs(found[name] - expected[name]).max() <= 1e-6, name


def test_summed_gradients_are_repeated_bit_by_bit(launch, tmp_path):
    files = [tmp_path / f"{name}.safetensors" for name in "ab"]
    for file in files:
        assert finish(launch(4, "parallel-gradients", 3, 1, "none", file))[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("number", [2, 4])
def test_compressed_gradients_are_off_by_the_rounding_of_bfloat16(launch, probe, tmp_path, number):
    """Every send and every addition keeps 8 bits: 2^-9 of the largest value for each of them."""
    whole, shared = tmp_path / "whole.safetensors", tmp_path / "shared.safetensors"
    subprocess.run([probe, "parallel-gradients", "2", "1", "none", whole], check=True, env=environment())
    code, _, err, _ = finish(launch(number, "parallel-gradients", 2, 1, "bf16", shared))
    assert code == 0, err
    expected, found = load_file(whole), load_file(shared)
    differences = {name: abs(found[name] - expected[name]).max() / abs(expected[name]).max() for name in expected}
    assert 0 < max(differences.values()) <= 2 * number / 512


@pytest.mark.parametrize("victim", [0, 1, 3])
def test_a_killed_rank_ends_the_others_within_seconds_and_they_say_so(launch, victim):
    process = launch(4, "parallel-loop", 60)
    pids = read_pids(process, 4)
    time.sleep(0.3)
    os.kill(pids[victim], signal.SIGKILL)
    code, _, err, seconds = finish(process)
    assert code == 128 + signal.SIGKILL
    assert seconds < 5
    assert f"rank {victim} (process {pids[victim]}) was killed by signal 9" in err
    for rank in set(pids) - {victim}:
        assert re.search(rf"rank {rank} of 4 waited .* for .* and failed: .*A rank has ended", err), err


def test_survivors_end_with_a_message_and_never_by_a_signal(probe):
    """The sockets of a dead rank raise SIGPIPE in whoever writes to them next, now and then."""
    for attempt in range(8):
        port = free_port()
        ranks = [
            subprocess.Popen(
                [probe, "parallel-loop", "30"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(RANK=rank, WORLD_SIZE=4, MASTER_ADDR="127.0.0.1", MASTER_PORT=port),
            )
            for rank in range(4)
        ]
        for rank in ranks:
            assert rank.stdout.readline().startswith("ready ")
        ranks.pop(attempt % 4).kill()
        messages = [rank.communicate(timeout=30)[1] for rank in ranks]
        assert [rank.returncode for rank in ranks] == [1, 1, 1], messages
        assert all("A rank has ended or its host cannot be reached" in message for message in messages), messages


def test_a_rank_that_is_silent_is_a_timeout_and_not_a_hang(launch):
    code, _, err, seconds = finish(launch(2, "parallel-late", 3, 1, grace=1))
    assert code == 1
    assert seconds < 20
    assert re.search(r"rank 0 of 2 waited [34]\.\d s for the second sum and failed: .*ddp_timeout", err), err


def test_a_rank_that_never_arrives_is_named(probe):
    env = environment(RANK=0, WORLD_SIZE=3, MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port())
    result = subprocess.run([probe, "parallel-sums", "2"], capture_output=True, text=True, timeout=30, env=env)
    assert result.returncode == 1
    expected = r"rank 0 of 3 waited [23]\.\d s for all ranks to start, and ranks 1, 2 did not arrive at 127\.0\.0\.1"
    assert re.search(expected, result.stderr), result.stderr


@pytest.mark.parametrize(
    "how,expected",
    [
        (["0", "0"], 0),
        (["0", "3", "0"], 3),
        (["kill", "0"], 137),
        (["143", "143"], 143),
        (["130", "0"], 130),
        (["5"], 5),
    ],
)
def test_the_launcher_ends_with_the_code_of_the_first_that_failed(launch, how, expected):
    assert finish(launch(len(how), "parallel-exit", *how))[0] == expected


def test_ranks_that_do_not_end_after_a_failure_are_ended(launch):
    code, _, err, seconds = finish(launch(3, "parallel-exit", "7", "sleep", "stubborn", grace=1))
    assert code == 7
    assert 1 <= seconds < 6
    assert "rank 0 (process " in err and "ended with exit code 7; the other ranks get 1.0 s to end" in err


@pytest.mark.parametrize("name,expected", [("SIGTERM", 143), ("SIGINT", 130)])
def test_signals_reach_every_rank_once(launch, name, expected):
    process = launch(2, "parallel-exit", "obey", "obey")
    for _ in range(2):
        assert process.stdout.readline().startswith("ready ")
    for usr in (signal.SIGUSR1, signal.SIGUSR2):
        process.send_signal(usr)
        time.sleep(0.1)
    process.send_signal(getattr(signal, name))
    code, out, err, _ = finish(process)
    assert (code, out) == (expected, "counted 2\ncounted 2\n"), err


def test_the_terminals_interrupt_reaches_ranks_once(probe):
    """Ctrl-C goes to the whole foreground group; a rank that got it twice would stop without saving."""
    process = subprocess.Popen(
        [probe, "parallel-launch", "2", "5", "parallel-exit", "obey", "obey"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    for _ in range(2):
        assert process.stdout.readline().startswith("ready ")
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "counted 0\ncounted 0\n")


def test_ranks_stop_together_after_a_signal(launch):
    process = launch(3, "parallel-loop", 30)
    read_pids(process, 3)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143


def test_ranks_do_not_outlive_a_killed_launcher(launch):
    process = launch(2, "parallel-loop", 60)
    pids = read_pids(process, 2)
    process.kill()
    process.wait()
    assert all(is_gone(pid) for pid in pids.values())


def test_processors_are_shared_out_unless_threads_are_set(launch):
    def threads(env):
        code, out, err, _ = finish(launch(2, "parallel-where", env=env))
        assert code == 0, err
        return [json.loads(line)["threads"] for line in out.splitlines()]

    assert threads(environment()) == [str(max(1, len(os.sched_getaffinity(0)) // 2))] * 2
    assert threads(environment(OMP_NUM_THREADS=3)) == ["3", "3"]


def torchrun(probe, *command, restarts=0):
    run = pathlib.Path(sys.executable).parent / "torchrun"
    return subprocess.run(
        [run, "--nproc-per-node=2", "--no-python", f"--max-restarts={restarts}", f"--master-port={free_port()}"]
        + [probe, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
    )


def test_torchrun_starts_the_ranks(probe, tmp_path):
    result = torchrun(probe, "parallel-sums", 60)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["texts"] == ["", "xxx"]
    result = torchrun(probe, "parallel-where")
    lines = sorted((json.loads(line) for line in result.stdout.splitlines()), key=lambda line: line["rank"])
    assert [(line["rank"], line["size"], line["local_rank"], line["agent"]) for line in lines] == [
        (0, 2, 0, True),
        (1, 2, 1, True),
    ]


def test_torchrun_restarts_the_ranks_and_they_meet_again(probe):
    result = torchrun(probe, "parallel-restart", 60, restarts=1)
    assert (result.returncode, result.stdout) == (0, "attempt 1\n"), result.stderr


def test_tasks_of_a_slurm_step_find_each_other(probe):
    """As srun starts them, on one host: each task has its number and the list of hosts."""
    job = free_port()  # a number that no other run of this test has
    tasks = [
        subprocess.Popen(
            [probe, "parallel-sums", "60"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(
                SLURM_PROCID=rank,
                SLURM_LOCALID=rank,
                SLURM_NTASKS=2,
                SLURM_NODEID=0,
                SLURM_JOB_ID=job,
                SLURM_STEP_ID=0,
                SLURM_STEP_NODELIST="localhost",
                SLURM_STEP_TASKS_PER_NODE="2",
            ),
        )
        for rank in range(2)
    ]
    outputs = [task.communicate(timeout=60)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0]
    assert json.loads(outputs[0])["sum"] == [1, 3, 5, 7, 9]


def test_half_of_the_launchers_variables_is_a_usage_error(probe):
    result = subprocess.run([probe, "parallel-where"], capture_output=True, text=True, env=environment(WORLD_SIZE=2))
    assert result.returncode == 1  # the probe ends with 1 after any exception
    assert "RANK, MASTER_ADDR, MASTER_PORT is not set although WORLD_SIZE is" in result.stderr
