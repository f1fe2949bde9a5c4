"""Training with an adapter, frozen parts and recomputed blocks, from the command line to captions."""

import json

import pytest
import tiny

LORA = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": ["query", "value", "c_attn"]}


def train(capstan, folder, cache, name, model, **settings):
    document = tiny.train_yaml(cache, folder / name, **settings)
    document["model"] = model
    config = tiny.write_yaml(folder / f"{name}.yaml", document)
    return capstan("train", config, check=True)


def resumed(capstan, folder, cache, model, **settings):
    """20 steps in one go, and 10 steps and then the rest: both last checkpoints."""
    settings = {"max_steps": 20, "save_steps": 10, "learning_rate": 1e-3} | settings
    output = train(capstan, folder, cache, "straight", model, **settings)
    train(capstan, folder, cache, "resumed", model, **settings)
    import shutil

    shutil.rmtree(folder / "resumed/checkpoint-20")
    again = train(capstan, folder, cache, "resumed", model, **settings)
    assert "going on from step 10 of 20" in again.stderr
    return output, tiny.checkpoint(folder / "straight", 20), tiny.checkpoint(folder / "resumed", 20)


def test_adapter_trains_resumes_exactly_and_captions(capstan, cache, run, dataset, tmp_path):
    model = {"from_pretrained": str(run), "lora": LORA | {"modules_to_save": ["ln_cross_attn"]}}
    output, straight, other = resumed(capstan, tmp_path, cache, model, eval_strategy="steps", eval_steps=10)
    assert tiny.tensors(straight) == tiny.tensors(other)
    assert "trainable parameters: " in output.stderr
    assert "peak memory: " in output.stderr
    names = set(tiny.tensors(straight))
    assert names >= {"model.safetensors", "optimizer.safetensors", "adapter/adapter_model.safetensors"}
    config = json.loads((straight / "adapter/adapter_config.json").read_text())
    assert config["r"] == 4 and config["peft_type"] == "LORA"
    assert len((straight / "optimizer.safetensors").read_bytes()) < len((straight / "model.safetensors").read_bytes())
    pictures = sorted((dataset / "validation").glob("*.jpg"))[:4]
    assert len(capstan("caption", straight, *pictures, check=True).stdout.splitlines()) == 4


@pytest.mark.filterwarnings("ignore")
def test_adapter_of_a_run_opens_in_peft_as_the_merged_model(capstan, cache, run, tmp_path):
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    train(capstan, tmp_path, cache, "run", {"from_pretrained": str(run), "lora": LORA}, max_steps=10, save_steps=10)
    checkpoint = tiny.checkpoint(tmp_path / "run", 10)
    config = json.loads((checkpoint / "adapter/adapter_config.json").read_text())
    base = transformers.VisionEncoderDecoderModel.from_pretrained(config["base_model_name_or_path"])
    adapted = peft.PeftModel.from_pretrained(base, checkpoint / "adapter").eval()
    merged = transformers.VisionEncoderDecoderModel.from_pretrained(checkpoint).eval()
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[0, 5, 7], [0, 9, 4]])
    with torch.no_grad():
        ours = merged(pixel_values=pixels, decoder_input_ids=ids).logits
        theirs = adapted(pixel_values=pixels, decoder_input_ids=ids).logits
    assert (ours - theirs).abs().max() <= 1e-5 * max(1, ours.abs().max())


def test_joined_parts_with_an_adapter_keep_their_base(capstan, cache, run, tmp_path):
    """The decoder's cross-attention starts fresh, so it is trained whole; the base is kept for the adapter."""
    transformers = pytest.importorskip("transformers")
    model = transformers.VisionEncoderDecoderModel.from_pretrained(tiny.checkpoint(run, 120))
    model.encoder.save_pretrained(tmp_path / "encoder")
    model.decoder.config.add_cross_attention = False
    model.decoder.save_pretrained(tmp_path / "decoder")
    section = {
        "encoder_from": str(tmp_path / "encoder"),
        "decoder_from": str(tmp_path / "decoder"),
        "lora": LORA | {"modules_to_save": ["crossattention", "ln_cross_attn"]},
    }
    _, straight, other = resumed(capstan, tmp_path, cache, section)
    assert tiny.tensors(straight) == tiny.tensors(other)
    assert (tmp_path / "straight/base/model.safetensors").exists()


def test_frozen_encoder_resumes_exactly_and_stays(capstan, cache, run, tmp_path):
    from safetensors.numpy import load_file

    model = {"from_pretrained": str(run)}
    _, straight, other = resumed(
        capstan, tmp_path, cache, model, freeze=["encoder", "*.wte.*"], gradient_checkpointing=True
    )
    assert tiny.tensors(straight) == tiny.tensors(other)
    before = load_file(tiny.checkpoint(run, 120) / "model.safetensors")
    after = load_file(straight / "model.safetensors")
    changed = {name for name in after if (before[name] != after[name]).any()}
    assert changed and all(name.startswith("decoder.") and ".wte." not in name for name in changed)


def test_dropout_and_stochastic_depth_are_set_on_a_loaded_model(capstan, cache, run, tmp_path):
    quiet = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
    losses = {}
    for name, model in {
        "quiet": {"dropout": quiet},
        "again": {"dropout": quiet},
        "dropout": {"dropout": quiet | {"hidden_dropout_prob": 0.5}},
        "depth": {"dropout": quiet, "encoder": {"drop_path_rate": 0.9}},
    }.items():
        train(
            capstan, tmp_path, cache, name, model | {"from_pretrained": str(run)}, max_steps=2, save_steps=0,
            logging_steps=1, learning_rate=0.0,
        )  # fmt: skip
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        losses[name] = [line["loss"] for line in lines if "loss" in line]
    assert losses["quiet"] == losses["again"]
    assert losses["dropout"] != losses["quiet"]
    assert losses["depth"] != losses["quiet"]


@pytest.mark.parametrize(
    "model, settings, text",
    [
        ({"lora": {"r": 4}}, {}, "the weights under the adapter would be fresh"),
        ({"from_pretrained": "RUN", "lora": {"r": 4, "target_modules": ["qery"]}}, {}, "Did you mean 'query'?"),
        ({"from_pretrained": "RUN"}, {"freeze": ["encodr"]}, "Did you mean 'encoder'?"),
        ({"from_pretrained": "RUN"}, {"freeze": ["*"]}, "every parameter is frozen"),
        ({"from_pretrained": "RUN", "lora": {"r": 4}}, {"unfreeze": ["decoder"]}, "has an adapter"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(capstan, cache, run, tmp_path, model, settings, text):
    model = {key: str(run) if value == "RUN" else value for key, value in model.items()}
    document = tiny.train_yaml(cache, tmp_path / "run", **settings)
    document["model"] = model
    result = capstan("train", tiny.write_yaml(tmp_path / "train.yaml", document))
    assert result.returncode == 2
    assert text in result.stderr
    assert not (tmp_path / "run").exists()
