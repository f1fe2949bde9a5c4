"""Writes tests/golden/schedules.json: learning rate factors of transformers' schedules at every step."""
import json
from pathlib import Path

import torch
import transformers
from transformers import get_scheduler

CASES = [(0, 20), (5, 20), (1, 7), (10, 10), (0, 1), (30, 20)]
STEPS = 25
NAMES = ["constant", "constant_with_warmup", "cosine", "linear"]


def factors(name, warmup, total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    values = []
    for _ in range(STEPS):
        values.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return values


def main():
    cases = [
        {"name": name, "num_warmup_steps": warmup, "num_training_steps": total, "factors": factors(name, warmup, total)}
        for name in NAMES
        for warmup, total in CASES
    ]
    golden = {"made_by": "tools/golden/make_schedules.py", "transformers": transformers.__version__, "cases": cases}
    path = Path(__file__).parents[2] / "tests/golden/schedules.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
