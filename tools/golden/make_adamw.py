"""Writes tests/golden/adamw.json: weights of torch.optim.AdamW after each of some updates with given gradients, with
decay on one of two parameters, and gradients before and after torch.nn.utils.clip_grad_norm_."""
import json
import math
from pathlib import Path

import torch

STEPS = 12
SHAPES = {"layer.weight": [3, 5], "layer.bias": [7]}
OPTIONS = {"beta1": 0.9, "beta2": 0.98, "epsilon": 1e-6, "weight_decay": 0.1}


def wave(shape, phase):
    """Values without randomness, so that the C++ test can make them too: sin(0.7 i + phase)."""
    count = math.prod(shape)
    return torch.tensor([math.sin(0.7 * i + phase) for i in range(count)], dtype=torch.float32).reshape(shape)


def trajectory():
    params = {name: torch.nn.Parameter(wave(shape, 0.1)) for name, shape in SHAPES.items()}
    groups = [
        {"params": [params["layer.weight"]], "weight_decay": OPTIONS["weight_decay"]},
        {"params": [params["layer.bias"]], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=1.0, betas=(OPTIONS["beta1"], OPTIONS["beta2"]), eps=OPTIONS["epsilon"], foreach=False, fused=False
    )
    steps = []
    for step in range(STEPS):
        rate = 0.01 / (1 + step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        for name, param in params.items():
            param.grad = wave(SHAPES[name], 1.3 * (step + 1)) * (step + 1)
        optimizer.step()
        steps.append({"learning_rate": rate, "weights": {n: p.detach().flatten().tolist() for n, p in params.items()}})
    return steps


def clipping():
    cases = []
    for max_norm in [0.5, 1.0, 100.0]:
        params = [torch.nn.Parameter(torch.zeros(shape)) for shape in SHAPES.values()]
        for param, shape in zip(params, SHAPES.values()):
            param.grad = wave(shape, 0.4)
        norm = torch.nn.utils.clip_grad_norm_(params, max_norm)
        clipped = {name: p.grad.flatten().tolist() for name, p in zip(SHAPES, params)}
        cases.append({"max_norm": max_norm, "norm": norm.item(), "gradients": clipped})
    return cases


def main():
    golden = {"made_by": "tools/golden/make_adamw.py", "torch": torch.__version__, "shapes": SHAPES, "options": OPTIONS,
              "steps": trajectory(), "clipping": clipping()}
    path = Path(__file__).parents[2] / "tests/golden/adamw.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
