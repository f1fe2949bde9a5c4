"""Our safetensors reader and writer against the reference implementation."""

import subprocess

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint8, torch.bool]


def sample():
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for number, dtype in enumerate(DTYPES):
        # Sizes that are no multiple of the element size of the next tensor.
        values = torch.randint(0, 2 if dtype == torch.bool else 100, (3, 5), generator=generator)
        tensors[f"{9 - number}.{dtype}"] = values.to(dtype)
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors['name "quoted" \u00e9\n'] = torch.arange(7)
    return tensors


def copy(probe, source, target):
    return subprocess.run([str(probe), "copy", str(source), str(target)], capture_output=True, text=True)


def test_every_type_is_read_and_written(probe, tmp_path):
    tensors = sample()
    save_file(tensors, tmp_path / "in.safetensors")
    result = copy(probe, tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    assert result.returncode == 0, result.stderr
    back = load_file(tmp_path / "out.safetensors")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_files_are_byte_for_byte_those_of_the_reference(probe, tmp_path):
    tensors = {name: value for name, value in sample().items() if "quoted" not in name}
    save_file(tensors, tmp_path / "in.safetensors", metadata={"format": "pt"})
    copy(probe, tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "float8_e4m3fn"])
def test_types_we_do_not_read_are_named(probe, tmp_path, dtype):
    save_file({"odd": torch.zeros(4).to(getattr(torch, dtype))}, tmp_path / "in.safetensors")
    result = copy(probe, tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    assert result.returncode == 1 and '"odd" has the dtype' in result.stderr
