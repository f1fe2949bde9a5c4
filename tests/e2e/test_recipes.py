"""Every file of configs/train, on a tiny cache with tiny parts: keys, shapes and folders fit each other."""

import pathlib
import re

import pytest
import tiny
import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "configs"
RECIPES = sorted((FOLDER / "train").glob("*.yaml"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """What VIT and DISTILGPT2 name: an encoder for pictures of 32 pixels and a decoder for the tokens of the cache."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("parts")
    encoder = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    encoder |= dict(image_size=32, patch_size=8)
    transformers.ViTModel(transformers.ViTConfig(**encoder)).save_pretrained(folder / "vit")
    decoder = dict(n_embd=32, n_layer=2, n_head=2, n_positions=96, vocab_size=300, bos_token_id=0, eos_token_id=0)
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**decoder)).save_pretrained(folder / "gpt2")
    return {"VIT": str(folder / "vit"), "DISTILGPT2": str(folder / "gpt2")}


def test_there_are_recipes_for_each_data_set_and_machine():
    names = {path.stem for path in RECIPES}
    for data in ("coco", "flickr30k"):
        assert {data, f"{data}_2x4090", f"{data}_8gpu"} <= names


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_passes_a_dry_run_with_tiny_parts(capstan, cache, parts, tmp_path, recipe):
    overrides = [f"data={cache}", f"output={tmp_path / 'run'}", "device=cpu"]
    result = capstan("train", recipe, *overrides, "--dry-run", env=parts)
    assert result.returncode == 0, result.stdout + result.stderr
    found = re.search(r"dry run: 96 captions of 48 images, ([\d,]+) updates", result.stderr)
    assert found, result.stderr
    assert int(found[1].replace(",", "")) >= 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_trains_on_what_a_data_file_prepares(capstan, recipe):
    run = yaml.safe_load(capstan("train", recipe, "--dump-config", check=True).stdout)
    prepared = {yaml.safe_load(path.read_text())["output"] for path in (FOLDER / "data").glob("*.yaml")}
    assert run["data"] in prepared
    command = f"#   capstan train configs/train/{recipe.name}\n"
    assert command in recipe.read_text(), "the comment at the top shows how to start it"


def test_every_recipe_writes_to_a_folder_of_its_own(capstan):
    outputs = [
        yaml.safe_load(capstan("train", recipe, "--dump-config", check=True).stdout)["output"] for recipe in RECIPES
    ]
    assert len(set(outputs)) == len(RECIPES), outputs
    assert all(output.startswith("checkpoints/") for output in outputs)


def test_a_recipe_for_other_pictures_is_refused_before_anything_is_written(capstan, dataset, parts, tmp_path):
    """What the dry run is worth: a cache of 48 pixels and an encoder of 32 do not fit."""
    document = tiny.prepare_yaml(dataset, tmp_path / "cache", image={"size": 48})
    capstan("prepare", tiny.write_yaml(tmp_path / "prepare.yaml", document), check=True)
    result = capstan(
        "train", FOLDER / "train/coco.yaml", f"data={tmp_path / 'cache'}", f"output={tmp_path / 'run'}", "device=cpu",
        "--dry-run", env=parts,
    )  # fmt: skip
    assert result.returncode == 2
    assert "the cache holds pictures of 48 pixels, the encoder takes 32" in result.stderr
