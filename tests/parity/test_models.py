"""Our captioner against transformers' VisionEncoderDecoderModel: same weights, same numbers, files in both directions.

Every bias and normalisation is randomised: a fresh model's zeros would hide a parameter that is dropped.
"""

import json
import subprocess

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model, ViTConfig, ViTForImageClassification, ViTModel
from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel

TOLERANCE = 1e-4  # largest absolute difference, float32

SHAPES = {
    # Different widths (enc_to_dec_proj), and every option away from its default.
    "tiny": dict(
        encoder=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=24,
                     patch_size=8, hidden_act="gelu_new", qkv_bias=False, layer_norm_eps=1e-6),
        decoder=dict(n_embd=24, n_layer=2, n_head=3, n_positions=40, vocab_size=101, n_inner=56,
                     activation_function="relu", layer_norm_epsilon=1e-4),
    ),
    "small": dict(
        encoder=dict(hidden_size=96, num_hidden_layers=4, num_attention_heads=6, intermediate_size=256, image_size=64,
                     patch_size=16),
        decoder=dict(n_embd=96, n_layer=3, n_head=4, n_positions=64, vocab_size=1000),
    ),
    "full": dict(encoder=dict(), decoder=dict(n_layer=6)),  # ViT-B/16 and DistilGPT2
}


def randomize(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.3 * noise if scale else 0.2 * noise if parameter.dim() == 1 else 0.05 * noise)
    return model.eval()


def make_reference(shape, seed=0, **decoder):
    sizes = SHAPES[shape]
    sizes = dict(encoder=sizes["encoder"], decoder=sizes["decoder"] | decoder)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**sizes["encoder"]), GPT2Config(**sizes["decoder"])
    )
    last = config.decoder.vocab_size - 1
    config.decoder_start_token_id, config.bos_token_id, config.eos_token_id, config.pad_token_id = last, last, last, 3
    return randomize(VisionEncoderDecoderModel(config), seed)


def make_inputs(model, path, batch=3, tokens=9, seed=1):
    generator = torch.Generator().manual_seed(seed)
    encoder = model.config.encoder
    pixels = torch.randn(batch, 3, encoder.image_size, encoder.image_size, generator=generator)
    labels = torch.randint(0, model.config.decoder.vocab_size, (batch, tokens), generator=generator)
    labels[0, 6:] = -100
    labels[-1, 4:] = -100
    inputs = dict(pixel_values=pixels, labels=labels)
    save_file(inputs, path)
    return inputs


def run(probe, *arguments):
    result = subprocess.run([str(probe), *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def largest(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    return (a - b).abs().max().item()


def compare(probe, model, folder, tmp_path, capsys, label):
    """Our logits, hidden states and loss for `folder` against those of `model`."""
    inputs = make_inputs(model, tmp_path / "in.safetensors")
    run(probe, "logits", folder, tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    ours = load_file(tmp_path / "out.safetensors")
    with torch.no_grad():
        theirs = model(**inputs)
        hidden = theirs.encoder_last_hidden_state
        if hasattr(model, "enc_to_dec_proj"):
            hidden = model.enc_to_dec_proj(hidden)
    difference = largest(ours["logits"], theirs.logits)
    with capsys.disabled():
        print(f"\nlogits max|diff| {label} = {difference:.2g} (largest logit {theirs.logits.abs().max():.3g})", end="")
    assert difference <= TOLERANCE
    assert largest(ours["encoder_hidden"], hidden) <= TOLERANCE
    assert abs(ours["loss"].item() - theirs.loss.item()) <= TOLERANCE
    return ours


def reopened(folder):
    """The folder through transformers, which may find nothing missing, unexpected or mismatched."""
    model, info = VisionEncoderDecoderModel.from_pretrained(folder, output_loading_info=True)
    assert {key: list(names) for key, names in info.items() if names} == {}
    return model.eval()


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_agree_and_our_folder_opens_in_transformers(probe, tmp_path, capsys, shape):
    reference = make_reference(shape)
    reference.save_pretrained(tmp_path / "theirs")
    ours = compare(probe, reference, tmp_path / "theirs", tmp_path, capsys, f"{shape}, theirs -> ours")

    run(probe, "save", tmp_path / "theirs", tmp_path / "ours")
    saved, original = load_file(tmp_path / "ours/model.safetensors"), load_file(tmp_path / "theirs/model.safetensors")
    assert saved.keys() == original.keys()
    assert all(torch.equal(saved[name], original[name]) for name in saved)
    back = reopened(tmp_path / "ours")
    with torch.no_grad():
        logits = back(**load_file(tmp_path / "in.safetensors")).logits
    difference = largest(ours["logits"], logits)
    with capsys.disabled():
        print(f"\nlogits max|diff| {shape}, ours -> theirs = {difference:.2g}", end="")
    assert difference <= TOLERANCE


@pytest.mark.parametrize("tied", [True, False])
def test_every_gradient_agrees(probe, tmp_path, capsys, tied):
    reference = make_reference("tiny", tie_word_embeddings=tied)
    reference.save_pretrained(tmp_path / "model")
    inputs = make_inputs(reference, tmp_path / "in.safetensors")
    run(probe, "logits", tmp_path / "model", tmp_path / "in.safetensors", tmp_path / "out.safetensors", "grads")
    ours = load_file(tmp_path / "out.safetensors")
    reference(**inputs).loss.backward()

    # The gradients under the names of the file: transformers renames its own modules when it writes.
    gradients = VisionEncoderDecoderModel(reference.config)
    with torch.no_grad():
        for (name, parameter), (_, source) in zip(gradients.named_parameters(), reference.named_parameters()):
            parameter.copy_(source.grad if source.grad is not None else torch.zeros_like(source))
    gradients.save_pretrained(tmp_path / "gradients")
    theirs = load_file(tmp_path / "gradients/model.safetensors")
    theirs = {name: value for name, value in theirs.items() if "pooler" not in name}
    assert {f"grad.{name}" for name in theirs} == {name for name in ours if name.startswith("grad.")}
    differences = {name: largest(ours[f"grad.{name}"], value) for name, value in theirs.items()}
    worst = max(differences, key=differences.get)
    with capsys.disabled():
        print(f"\ngradient max|diff| of {len(theirs)} = {differences[worst]:.2g} ({worst})", end="")
    assert differences[worst] <= 1e-5
    assert all(value.abs().max() > 0 for name, value in theirs.items() if not name.endswith("key.bias"))


@pytest.mark.parametrize("step", [1, 4])
def test_the_cache_changes_nothing(probe, tmp_path, capsys, step):
    reference = make_reference("small")
    reference.save_pretrained(tmp_path / "model")
    inputs = make_inputs(reference, tmp_path / "in.safetensors")
    run(probe, "logits-cached", tmp_path / "model", tmp_path / "in.safetensors", tmp_path / "out.safetensors", step)
    with torch.no_grad():
        logits = reference(**inputs).logits
    difference = largest(load_file(tmp_path / "out.safetensors")["logits"], logits)
    with capsys.disabled():
        print(f"\nlogits max|diff| cached, {step} at a time = {difference:.2g}", end="")
    assert difference <= TOLERANCE


def test_an_untied_head_and_shards_agree(probe, tmp_path, capsys):
    reference = make_reference("small", tie_word_embeddings=False)
    reference.save_pretrained(tmp_path / "shards", max_shard_size="300KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 2
    compare(probe, reference, tmp_path / "shards", tmp_path, capsys, "untied, sharded")
    run(probe, "save", tmp_path / "shards", tmp_path / "ours")
    with torch.no_grad():
        difference = largest(reopened(tmp_path / "ours").decoder.lm_head.weight, reference.decoder.lm_head.weight)
    assert difference == 0


def test_a_tied_head_may_stand_in_the_file(probe, tmp_path, capsys):
    reference = make_reference("tiny")
    reference.save_pretrained(tmp_path / "model")
    file = tmp_path / "model/model.safetensors"
    tensors = load_file(file)
    assert "decoder.lm_head.weight" not in tensors
    tensors["decoder.lm_head.weight"] = tensors["decoder.transformer.wte.weight"].clone()
    # What transformers before 4.31 kept in GPT-2 files.
    tensors["decoder.transformer.h.0.attn.bias"] = torch.ones(1, 1, 40, 40, dtype=torch.bool).tril()
    tensors["decoder.transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, file, metadata={"format": "pt"})
    compare(probe, reference, tmp_path / "model", tmp_path, capsys, "tied head in the file")


def test_names_of_transformers_5_modules_are_read(probe, tmp_path, capsys):
    reference = make_reference("tiny")
    reference.save_pretrained(tmp_path / "model")
    tensors = {name: value.contiguous() for name, value in reference.state_dict().items() if "lm_head" not in name}
    save_file(tensors, tmp_path / "model/model.safetensors", metadata={"format": "pt"})
    compare(probe, reference, tmp_path / "model", tmp_path, capsys, "module names")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_are_read(probe, tmp_path, capsys, dtype):
    reference = make_reference("small").to(dtype)
    reference.save_pretrained(tmp_path / "model")
    compare(probe, reference.float(), tmp_path / "model", tmp_path, capsys, str(dtype))


@pytest.mark.parametrize("vision, language", [(ViTModel, GPT2LMHeadModel), (ViTForImageClassification, GPT2Model)])
def test_separate_folders_join(probe, tmp_path, capsys, vision, language):
    sizes = SHAPES["small"]
    randomize(vision(ViTConfig(**sizes["encoder"])), 1).save_pretrained(tmp_path / "vision")
    last = sizes["decoder"]["vocab_size"] - 1
    # transformers' own joining asks for is_decoder, which older configurations carry.
    config = GPT2Config(**sizes["decoder"], bos_token_id=last, eos_token_id=last, is_decoder=False)
    randomize(language(config), 2).save_pretrained(tmp_path / "language")
    printed = run(probe, "join", tmp_path / "vision", tmp_path / "language", tmp_path / "ours", 7).splitlines()
    new = {line.removeprefix("new ") for line in printed if line.startswith("new ")}
    unexpected = {line.removeprefix("unexpected ") for line in printed if line.startswith("unexpected ")}

    ours = reopened(tmp_path / "ours")
    joined = VisionEncoderDecoderModel.from_encoder_decoder_pretrained(
        str(tmp_path / "vision"), str(tmp_path / "language")
    )
    cross = {name for name, _ in joined.named_parameters() if "crossattention" in name or "ln_cross_attn" in name}
    assert new == cross
    assert unexpected == (
        set() if vision is ViTModel else {"encoder.classifier.weight", "encoder.classifier.bias"}
    )
    for (name, mine), (_, other) in zip(ours.named_parameters(), joined.named_parameters()):
        if name not in cross and "pooler" not in name:
            assert torch.equal(mine, other), name
    assert ours.config.eos_token_id == ours.config.pad_token_id == ours.config.decoder_start_token_id == last
    compare(probe, ours, tmp_path / "ours", tmp_path, capsys, f"{vision.__name__} + {language.__name__}")


def test_fresh_weights_have_the_deviations_of_transformers(probe, tmp_path):
    reference = make_reference("small")
    reference.save_pretrained(tmp_path / "model")
    run(probe, "create", tmp_path / "model", tmp_path / "ours", 11)
    run(probe, "create", tmp_path / "model", tmp_path / "again", 11)
    run(probe, "create", tmp_path / "model", tmp_path / "other", 12)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("ours", "again", "other")]
    assert files[0] == files[1] != files[2]

    ours = dict(reopened(tmp_path / "ours").named_parameters())
    fresh = dict(VisionEncoderDecoderModel(reference.config).named_parameters())
    for name, theirs in fresh.items():
        if theirs.dim() < 2 or theirs.numel() < 400:
            if theirs.dim() == 1:
                assert torch.equal(ours[name], theirs), name
            continue
        assert abs(ours[name].mean().item()) < 0.005, name
        assert ours[name].std().item() == pytest.approx(theirs.std().item(), rel=0.15), name


def test_the_configuration_survives_both_ways(probe, tmp_path):
    reference = make_reference("tiny")
    reference.save_pretrained(tmp_path / "theirs")
    run(probe, "save", tmp_path / "theirs", tmp_path / "ours")
    theirs = VisionEncoderDecoderConfig.from_pretrained(tmp_path / "theirs")
    ours = VisionEncoderDecoderConfig.from_pretrained(tmp_path / "ours")
    for part in ("encoder", "decoder"):
        mine, other = getattr(ours, part).to_dict(), getattr(theirs, part).to_dict()
        ids = {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"}  # ours repeats them there
        same = other.keys() - ids - {"dtype", "torch_dtype", "transformers_version"}
        assert {key: mine[key] for key in same} == {key: other[key] for key in same}
    generation = transformers.GenerationConfig.from_pretrained(tmp_path / "ours")
    for key in ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(ours, key) == getattr(theirs, key) == getattr(generation, key)
        assert json.loads((tmp_path / "ours/config.json").read_text())["decoder"][key] == getattr(theirs, key)
