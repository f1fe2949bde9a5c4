"""Greedy captions of our loop, id by id, against transformers' generate on models with random weights."""

import subprocess

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import captioners  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


@pytest.fixture(scope="module", params=["tiny", "small", "other"])
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, captioners.captioner(folder, request.param)


def ours(probe, folder, tmp_path, pixel_values, max_new_tokens):
    tensors = {"pixel_values": pixel_values, "max_new_tokens": torch.tensor([max_new_tokens])}
    save_file(tensors, tmp_path / "in.safetensors")
    subprocess.run([probe, "generate", folder, tmp_path / "in.safetensors", tmp_path / "out.safetensors"], check=True)
    rows = load_file(tmp_path / "out.safetensors")["ids"].tolist()
    return [[token for token in row if token >= 0] for row in rows]


def theirs(model, pixel_values, max_new_tokens):
    ids = captioners.reference_ids(model, pixel_values, max_new_tokens)[:, 1:].tolist()
    end = model.generation_config.eos_token_id
    return [row[: row.index(end)] if end in row else row for row in ids]


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_ids_equal_transformers(probe, case, tmp_path, batch):
    folder, model = case
    pixel_values = captioners.pictures(model, batch)
    expected = theirs(model, pixel_values, 16)
    assert ours(probe, folder, tmp_path, pixel_values, 16) == expected
    if batch > 1:
        assert len({len(row) for row in expected}) > 1, "rows were meant to end at different steps"


@pytest.mark.parametrize("max_new_tokens", [1, 2])
def test_short_limits(probe, case, tmp_path, max_new_tokens):
    folder, model = case
    pixel_values = captioners.pictures(model, 2, seed=5)
    assert ours(probe, folder, tmp_path, pixel_values, max_new_tokens) == theirs(model, pixel_values, max_new_tokens)


def test_as_long_as_the_positions_allow(probe, case, tmp_path):
    folder, model = case
    pixel_values = captioners.pictures(model, 2, seed=9)
    longest = model.config.decoder.n_positions
    assert ours(probe, folder, tmp_path, pixel_values, longest) == theirs(model, pixel_values, longest)
