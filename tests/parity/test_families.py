"""Every family of encoders, and GPT-2 with every option, against transformers: hidden states, logits, loss, gradients.

float32: the largest difference is at most 1e-4 of the largest value of the same tensor. bfloat16: our distance from
float32 (root mean square) is at most BF16_FACTOR times that of transformers in bfloat16, which rounds at other places.
"""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DeiTConfig, DeiTForImageClassification, GPT2Config, GPT2LMHeadModel, GPT2Model, SiglipConfig
from transformers import SiglipModel, SiglipVisionConfig, SiglipVisionModel, VisionEncoderDecoderConfig
from transformers import VisionEncoderDecoderModel, ViTConfig

from test_models import randomize, reopened, run

RELATIVE = 1e-4
BF16_FACTOR = 1.05
FAMILIES = {"vit": ViTConfig, "deit": DeiTConfig, "siglip_vision_model": SiglipVisionConfig}
# 28 pixels are three patches and a margin that nothing sees.
TINY = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=56, image_size=28,
            patch_size=8)
NO_DROPOUT = dict(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
DECODER = dict(n_embd=24, n_layer=2, n_head=3, n_positions=40, vocab_size=101) | NO_DROPOUT


def captioner(family, encoder=TINY, decoder=DECODER, seed=0):
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        FAMILIES[family](**encoder), GPT2Config(**decoder, bos_token_id=None, eos_token_id=None)
    )
    last = config.decoder.vocab_size - 1
    config.decoder_start_token_id, config.bos_token_id, config.eos_token_id, config.pad_token_id = last, last, last, 3
    return randomize(VisionEncoderDecoderModel(config), seed)


def inputs_of(model, path, batch=3, tokens=9, height=None, width=None):
    generator = torch.Generator().manual_seed(1)
    size = model.config.encoder.image_size
    pixels = torch.randn(batch, 3, height or size, width or size, generator=generator)
    labels = torch.randint(0, model.config.decoder.vocab_size, (batch, tokens), generator=generator)
    labels[0, 6:] = -100
    inputs = dict(pixel_values=pixels, labels=labels)
    save_file(inputs, path)
    return inputs


def projected(model, outputs):
    hidden = outputs.encoder_last_hidden_state
    return model.enc_to_dec_proj(hidden) if hasattr(model, "enc_to_dec_proj") else hidden


def theirs_of(model, inputs, **options):
    with torch.no_grad():
        outputs = model(**inputs, **options)
        return dict(encoder_hidden=projected(model, outputs).float(), logits=outputs.logits.float(),
                    loss=outputs.loss.float())


def ours_of(probe, folder, tmp_path, *words, command="logits"):
    run(probe, command, folder, tmp_path / "in.safetensors", tmp_path / "out.safetensors", *words)
    return load_file(tmp_path / "out.safetensors")


def relative(ours, theirs):
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def rms(a, b):
    return (a - b).pow(2).mean().sqrt().item()


def agree(ours, theirs, capsys, label):
    found = {name: relative(ours[name], value) for name, value in theirs.items()}
    with capsys.disabled():
        print(f"\n{label}: " + ", ".join(f"{name} {value:.1e}" for name, value in found.items()), end="")
    assert max(found.values()) <= RELATIVE, found


def file_names(model, tmp_path):
    """Names of parameters as files carry them, beside those of the modules: one number marks each parameter."""
    marked = type(model)(model.config)
    names = [name for name, _ in model.named_parameters()]
    with torch.no_grad():
        for index, (_, parameter) in enumerate(marked.named_parameters()):
            parameter.fill_(float(index))
    marked.save_pretrained(tmp_path / "marked")
    found = {}
    for name, value in load_file(tmp_path / "marked/model.safetensors").items():
        tower = name.startswith("encoder.") and model.config.encoder.model_type == "siglip_vision_model"
        found[names[int(value.flatten()[0])]] = name.replace("encoder.", "encoder.vision_model.", 1) if tower else name
    return found


def gradients_agree(ours, model, names, capsys, label, tolerance=RELATIVE):
    """Relative to the largest of each gradient; a key's bias, whose gradient is 0 but for rounding, to that of all."""
    pairs = {names[name]: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert {f"grad.{name}" for name in pairs} == {name for name in ours if name.startswith("grad.")}
    largest = max(value.abs().max() for value in pairs.values())
    found = {}
    for name, value in pairs.items():
        scale = value.abs().max() if value.abs().max() > 1e-5 * largest else largest
        found[name] = ((ours[f"grad.{name}"] - value).abs().max() / scale).item()
    worst = max(found, key=found.get)
    with capsys.disabled():
        print(f"\n{label}: {len(found)} gradients, worst {found[worst]:.1e} ({worst})", end="")
    assert found[worst] <= tolerance
    return pairs


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_captioner_agrees_with_every_gradient(probe, tmp_path, capsys, family):
    model = captioner(family)
    model.save_pretrained(tmp_path / "model")
    inputs = inputs_of(model, tmp_path / "in.safetensors")
    ours = ours_of(probe, tmp_path / "model", tmp_path, "grads")
    agree(ours, theirs_of(model, inputs), capsys, f"{family} tiny")
    model(**inputs).loss.backward()
    gradients_agree(ours, model, file_names(model, tmp_path), capsys, f"{family} tiny")
    eager = ours_of(probe, tmp_path / "model", tmp_path, "grads", "eager")
    agree(eager, theirs_of(model, inputs), capsys, f"{family} tiny, eager")
    again = ours_of(probe, tmp_path / "model", tmp_path, "grads", "recompute")
    assert all(torch.equal(again[name], value) for name, value in ours.items() if name.startswith("grad."))


@pytest.mark.parametrize("family", FAMILIES)
def test_folders_go_both_ways_in_every_storage_type(probe, tmp_path, capsys, family):
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        model = captioner(family, seed=2).to(dtype)
        theirs, ours = tmp_path / f"theirs-{name}", tmp_path / f"ours-{name}"
        model.save_pretrained(theirs)
        run(probe, "save", theirs, ours, name)
        saved, original = load_file(ours / "model.safetensors"), load_file(theirs / "model.safetensors")
        bare = {key.replace("encoder.vision_model.", "encoder."): value for key, value in saved.items()}
        assert bare.keys() == original.keys()
        for key, value in bare.items():
            assert value.dtype == dtype and torch.equal(value, original[key]), key
        inputs = inputs_of(model, tmp_path / "in.safetensors")
        back = reopened(ours)
        # Only what was loaded knows its type.
        assert back.config.encoder.to_dict() | {"dtype": None} == model.config.encoder.to_dict() | {"dtype": None}
        agree(ours_of(probe, ours, tmp_path), theirs_of(back.float(), inputs), capsys, f"{family} {name} storage")


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_as_close_to_float32_as_transformers(probe, tmp_path, capsys, family):
    sizes = TINY | dict(hidden_size=96, num_hidden_layers=6, intermediate_size=256, image_size=64)
    model = captioner(family, sizes, DECODER | dict(n_embd=96, n_head=4, n_layer=4, vocab_size=512))
    model.save_pretrained(tmp_path / "model")
    inputs = inputs_of(model, tmp_path / "in.safetensors", batch=4)
    names = file_names(model, tmp_path)
    exact = theirs_of(model, inputs)
    model(**inputs).loss.backward()
    exact |= {names[name]: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.bfloat16()
    theirs = theirs_of(model, inputs)
    model(**inputs).loss.backward()
    theirs |= {names[name]: p.grad.float() for name, p in model.named_parameters() if p.grad is not None}
    ours = ours_of(probe, tmp_path / "model", tmp_path, "bfloat16", "grads")
    ours |= {name.removeprefix("grad."): ours.pop(name) for name in list(ours) if name.startswith("grad.")}
    outputs = ("encoder_hidden", "logits")
    ratios = {name: rms(ours[name], exact[name]) / rms(theirs[name], exact[name]) for name in outputs}
    # All gradients as one vector, each parameter weighted to the same length.
    def distance(other):
        lengths = {name: exact[name].pow(2).sum() for name in names.values() if name in exact}
        return sum((other[name] - exact[name]).pow(2).sum() / length for name, length in lengths.items()
                   if length > 1e-10 * max(lengths.values())).sqrt().item()
    ratios["gradients"] = distance(ours) / distance(theirs)
    with capsys.disabled():
        print(f"\n{family} bfloat16, ours over transformers': "
              + ", ".join(f"{name} {value:.3f}" for name, value in ratios.items()), end="")
    assert max(ratios.values()) <= BF16_FACTOR


@pytest.mark.parametrize("family", FAMILIES)
def test_position_tables_are_interpolated(probe, tmp_path, capsys, family):
    model = captioner(family)
    model.save_pretrained(tmp_path / "model")
    # Larger, smaller, not square, and with pixels left over at the edges.
    for height, width in ((56, 56), (16, 16), (40, 64), (45, 30)):
        inputs = inputs_of(model, tmp_path / "in.safetensors", height=height, width=width)
        ours = ours_of(probe, tmp_path / "model", tmp_path, "interpolate")
        agree(ours, theirs_of(model, inputs, interpolate_pos_encoding=True), capsys, f"{family} {height} x {width}")
    # A model made for the larger size from now on gives what the interpolating one gave.
    run(probe, "resize", tmp_path / "model", tmp_path / "larger", 56)
    inputs = inputs_of(model, tmp_path / "in.safetensors", height=56, width=56)
    larger = reopened(tmp_path / "larger")
    assert larger.config.encoder.image_size == 56
    expected = theirs_of(model, inputs, interpolate_pos_encoding=True)
    agree(theirs_of(larger, inputs), expected, capsys, f"{family} resized, in transformers")
    agree(ours_of(probe, tmp_path / "larger", tmp_path), expected, capsys, f"{family} resized")


@pytest.mark.parametrize("family", FAMILIES)
def test_full_size_encoders_agree(probe, tmp_path, capsys, family):
    """Base size of each family; ViT's with DistilGPT2 and every gradient."""
    pair = family == "vit"
    decoder = dict(n_layer=6) if pair else dict(n_layer=1, vocab_size=1000)
    model = captioner(family, {}, decoder | NO_DROPOUT)
    model.save_pretrained(tmp_path / "model")
    inputs = inputs_of(model, tmp_path / "in.safetensors", batch=1)
    ours = ours_of(probe, tmp_path / "model", tmp_path, *(["grads"] if pair else []))
    agree(ours, theirs_of(model, inputs), capsys, f"{family} base")
    if pair:
        model(**inputs).loss.backward()
        gradients_agree(ours, model, file_names(model, tmp_path), capsys, f"{family} base + DistilGPT2")


# Each option of GPT-2 away from its default, and the widths and heads of the published sizes.
TEXT = {
    "gelu_new": {},
    "gelu": dict(activation_function="gelu", tie_word_embeddings=False),
    "relu": dict(activation_function="relu", n_inner=40),
    "silu": dict(activation_function="silu", scale_attn_by_inverse_layer_idx=True),
    "tanh": dict(activation_function="tanh", scale_attn_weights=False),
    "upcast": dict(reorder_and_upcast_attn=True, scale_attn_by_inverse_layer_idx=True),
    "gpt2": dict(n_embd=768, n_layer=12, n_head=12, vocab_size=50257, n_positions=1024),
    "gpt2-medium, 2 layers": dict(n_embd=1024, n_layer=2, n_head=16),
    "gpt2-large, 2 layers": dict(n_embd=1280, n_layer=2, n_head=20),
    "gpt2-xl, 2 layers": dict(n_embd=1600, n_layer=2, n_head=25),
}


@pytest.mark.parametrize("name", TEXT)
def test_a_decoder_alone_agrees(probe, tmp_path, capsys, name):
    attention = "eager" if TEXT[name].get("reorder_and_upcast_attn") else "sdpa"
    config = GPT2Config(**DECODER | TEXT[name], bos_token_id=None, eos_token_id=None, attn_implementation=attention)
    model = randomize(GPT2LMHeadModel(config))
    # With and without the names of a language model around it.
    source = model if config.tie_word_embeddings is False or name == "gelu_new" else model.transformer
    source.save_pretrained(tmp_path / "model")
    ids = torch.randint(0, config.vocab_size, (2, 11), generator=torch.Generator().manual_seed(4))
    save_file({"input_ids": ids}, tmp_path / "in.safetensors")
    ours = ours_of(probe, tmp_path / "model", tmp_path, "grads", command="text")
    outputs = model(ids, labels=ids, output_hidden_states=True)
    with torch.no_grad():
        hidden = model.transformer(ids).last_hidden_state
    agree(ours, dict(hidden=hidden, logits=outputs.logits.detach(), loss=outputs.loss.detach()), capsys, name)
    outputs.loss.backward()
    names = {key: key for key, _ in model.named_parameters()}
    gradients_agree(ours, model, names, capsys, name)

    run(probe, "save-text", tmp_path / "model", tmp_path / "ours")
    back, info = GPT2LMHeadModel.from_pretrained(
        tmp_path / "ours", output_loading_info=True, attn_implementation=attention
    )
    assert {key: list(value) for key, value in info.items() if value} == {}
    with torch.no_grad():
        assert torch.equal(back.eval()(ids).logits, model(ids).logits)


def test_upcast_attention_under_bfloat16_is_that_of_transformers(probe, tmp_path, capsys):
    options = dict(reorder_and_upcast_attn=True, n_embd=96, n_head=4, n_layer=4)
    config = GPT2Config(**DECODER | options, bos_token_id=None, eos_token_id=None, attn_implementation="eager")
    model = randomize(GPT2LMHeadModel(config))
    model.save_pretrained(tmp_path / "model")
    ids = torch.randint(0, config.vocab_size, (4, 30), generator=torch.Generator().manual_seed(4))
    save_file({"input_ids": ids}, tmp_path / "in.safetensors")
    with torch.no_grad():
        exact = model(ids).logits
        theirs = model.bfloat16()(ids).logits.float()
    ours = ours_of(probe, tmp_path / "model", tmp_path, "bfloat16", command="text")["logits"]
    ratio = rms(ours, exact) / rms(theirs, exact)
    with capsys.disabled():
        print(f"\nupcast attention in bfloat16, ours over transformers': {ratio:.3f}", end="")
    assert ratio <= BF16_FACTOR


@pytest.mark.parametrize("name", [name for name in TEXT if not name.startswith("gpt2")])
def test_a_decoder_with_pictures_agrees_under_every_option(probe, tmp_path, capsys, name):
    """The same options with cross-attention, whose scores they scale as well."""
    options = TEXT[name]
    model = captioner("vit", decoder=DECODER | options)
    if options.get("reorder_and_upcast_attn"):
        model.decoder.set_attn_implementation("eager")
    model.save_pretrained(tmp_path / "model")
    inputs = inputs_of(model, tmp_path / "in.safetensors")
    ours = ours_of(probe, tmp_path / "model", tmp_path, "grads")
    agree(ours, theirs_of(model, inputs), capsys, str(options))
    model(**inputs).loss.backward()
    gradients_agree(ours, model, file_names(model, tmp_path), capsys, str(options))


def siglip_whole():
    text = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, vocab_size=50,
                pad_token_id=0, bos_token_id=0, eos_token_id=0)
    return SiglipModel(SiglipConfig(vision_config=SiglipVisionConfig(**TINY).to_dict(), text_config=text))


@pytest.mark.parametrize("make", [
    lambda: DeiTForImageClassification(DeiTConfig(**TINY)),
    lambda: SiglipVisionModel(SiglipVisionConfig(**TINY)),
    lambda: SiglipVisionModel(SiglipVisionConfig(**TINY, vision_use_head=False)),
    siglip_whole,
], ids=["DeiTForImageClassification", "SiglipVisionModel", "SiglipVisionModel without head", "SiglipModel"])
def test_separate_folders_of_each_family_join(probe, tmp_path, capsys, make):
    vision = randomize(make(), 1)
    vision.save_pretrained(tmp_path / "vision")
    config = GPT2Config(**DECODER | dict(n_embd=32, n_head=4), bos_token_id=100, eos_token_id=100, is_decoder=False)
    randomize(GPT2Model(config), 2).save_pretrained(tmp_path / "language")
    printed = run(probe, "join", tmp_path / "vision", tmp_path / "language", tmp_path / "ours", 7).splitlines()
    new = [line for line in printed if line.startswith("new ")]
    assert new and all("crossattention" in line or "ln_cross_attn" in line for line in new)
    ours = reopened(tmp_path / "ours")
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(3))
    encoder = getattr(vision, "deit", None) or getattr(vision, "vision_model", None) or vision
    with torch.no_grad():
        difference = relative(ours.encoder(pixels).last_hidden_state, encoder(pixels).last_hidden_state)
    assert difference <= 1e-6
    inputs = inputs_of(ours, tmp_path / "in.safetensors")
    agree(ours_of(probe, tmp_path / "ours", tmp_path), theirs_of(ours, inputs), capsys, type(vision).__name__)


@pytest.mark.parametrize("family", ["deit", "siglip_vision_model"])
def test_fresh_weights_have_the_deviations_of_transformers(probe, tmp_path, family):
    sizes = TINY | dict(hidden_size=96, intermediate_size=256, image_size=64)
    reference = captioner(family, sizes, DECODER | dict(n_embd=96, n_head=4))
    reference.save_pretrained(tmp_path / "model")
    run(probe, "create", tmp_path / "model", tmp_path / "ours", 11)
    ours = dict(reopened(tmp_path / "ours").encoder.named_parameters())
    for name, theirs in VisionEncoderDecoderModel(reference.config).encoder.named_parameters():
        if theirs.dim() == 1:
            assert torch.allclose(ours[name], theirs, atol=1e-5), name
        elif theirs.numel() >= 2000:
            assert abs(ours[name].mean().item()) < 0.02, name
            assert ours[name].std().item() == pytest.approx(theirs.std().item(), rel=0.1, abs=1e-6), name
