"""Writes tests/golden/schedules.json: learning rates of transformers' schedules at every step, over many settings."""
import json
import random
import warnings
from pathlib import Path

import torch
import transformers
from transformers import get_scheduler

CASES = [(0, 20), (5, 20), (1, 7), (10, 10), (0, 1), (30, 20)]
STEPS = 25
OPTIONS = {
    "constant": [{}],
    "constant_with_warmup": [{}],
    "linear": [{}],
    "cosine": [{}, {"num_cycles": 1.5}],
    "cosine_with_restarts": [{}, {"num_cycles": 3}],
    "polynomial": [{}, {"power": 2.0, "lr_end": 1e-5}],
    "inverse_sqrt": [{}, {"timescale": 3}],
    "warmup_stable_decay": [{"num_decay_steps": 6}, {"num_decay_steps": 3, "num_stable_steps": 4, "min_lr_ratio": 0.1}],
    "cosine_with_min_lr": [{"min_lr": 1e-5}, {"min_lr_rate": 0.25, "num_cycles": 1.5}],
}
SHAPES = ["linear", "cosine", "1-sqrt"]
NUM_RANDOM = 8  # of every schedule that has options


def random_options(name, draw):
    """Every option of the schedule, each there or not."""
    choices = {
        "cosine": {"num_cycles": draw.uniform(0, 3)},
        "cosine_with_restarts": {"num_cycles": draw.randint(1, 6)},
        "polynomial": {"power": draw.uniform(0, 4), "lr_end": draw.uniform(0, 2e-4)},
        "inverse_sqrt": {"timescale": draw.randint(1, 80)},
        "warmup_stable_decay": {
            "num_stable_steps": draw.randint(0, 30), "warmup_type": draw.choice(SHAPES),
            "decay_type": draw.choice(SHAPES), "min_lr_ratio": draw.random(), "num_cycles": draw.uniform(0, 2)},
        "cosine_with_min_lr": {"num_cycles": draw.uniform(0, 3)},
    }
    options = {key: value for key, value in choices[name].items() if draw.random() < 0.8}
    if name == "warmup_stable_decay":
        options["num_decay_steps"] = draw.randint(0, 30)
    if name == "cosine_with_min_lr":
        options |= draw.choice([{"min_lr": draw.uniform(0, 2e-4)}, {"min_lr_rate": draw.random()}])
    return options


def case(name, warmup, total, learning_rate, options, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)
    schedule = get_scheduler(name, optimizer, warmup, total, scheduler_specific_kwargs=options)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return {"name": name, "num_warmup_steps": warmup, "num_training_steps": total, "learning_rate": learning_rate,
            "kwargs": options, "rates": rates}


def make_cases():
    draw = random.Random(5)
    for name, settings in OPTIONS.items():
        for options in settings:
            for warmup, total in CASES:
                if name == "polynomial" and warmup == total:
                    continue  # transformers divides by zero
                yield case(name, warmup, total, 1e-3 if options else 1.0, options, STEPS)
        for _ in range(NUM_RANDOM if name in random_names() else 0):
            total = draw.randint(2, 70)
            options = random_options(name, draw)
            yield case(name, draw.randint(0, total - 1), total, draw.uniform(3e-4, 1e-2), options, total + 6)


def random_names():
    return [name for name in OPTIONS if len(OPTIONS[name]) > 1]


def main():
    warnings.simplefilter("ignore")
    golden = {"made_by": "tools/golden/make_schedules.py", "transformers": transformers.__version__,
              "cases": list(make_cases())}
    path = Path(__file__).parents[2] / "tests/golden/schedules.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
