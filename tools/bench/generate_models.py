"""The models of tools/bench/generate: random weights, saved by transformers, and what peers make of them.

Every parameter is random, biases and norms too. Matrices keep numbers about as large as they were (deviation
1.5 / sqrt(columns)), so that pictures differ all the way to the captions.
"""

import json
import shutil

import common

END = "<|endoftext|>"
FULL = {"encoder": {}, "decoder": {"n_layer": 6}}
TINY = {
    "encoder": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, image_size=32,
                    patch_size=8),
    "decoder": dict(n_embd=64, n_layer=2, n_head=2, n_positions=64, vocab_size=999),
}


def write_tokenizer(folder, vocab_size):
    """As many tokens as the model has: the bytes, fillers, and the end token as the last one."""
    import tokenizers
    import transformers

    tokens = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokens += [f"t{number}" for number in range(vocab_size - len(tokens) - 1)] + [END]
    tokenizer = tokenizers.ByteLevelBPETokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[])
    tokenizer.add_special_tokens([END])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, bos_token=END, eos_token=END, unk_token=END, pad_token=END)
    fast.save_pretrained(folder)
    tokenizer.save_model(str(folder))


def randomize(model, seed):
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                parameter.copy_(1 + 0.2 * noise if name.endswith("weight") else 0.1 * noise)
            else:
                parameter.copy_(1.5 * noise / min(parameter.shape[-1], 768) ** 0.5)


def make_captioner(folder, shape):
    import transformers
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    decoder = transformers.GPT2Config(**shape["decoder"], is_decoder=True, add_cross_attention=True)
    encoder = transformers.ViTConfig(**shape["encoder"])
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    model = transformers.VisionEncoderDecoderModel(config).eval()
    randomize(model, 1)
    finish(model, folder, decoder.vocab_size)
    size = {"height": encoder.image_size, "width": encoder.image_size}
    ViTImageProcessorPil(size=size).save_pretrained(folder)


def make_decoder(folder, shape):
    import transformers

    config = transformers.GPT2Config(**shape["decoder"])
    model = transformers.GPT2LMHeadModel(config).eval()
    randomize(model, 2)
    finish(model, folder, config.vocab_size)


def finish(model, folder, vocab_size):
    """The last token starts and ends texts."""
    end = vocab_size - 1
    for part in (model.config, getattr(model.config, "decoder", model.config), model.generation_config):
        part.bos_token_id = part.eos_token_id = part.pad_token_id = end
    if hasattr(model.config, "decoder"):
        model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = end
    model.save_pretrained(folder)
    write_tokenizer(folder, vocab_size)


def export(capstan, source, folder):
    """Our ONNX files, and the same with int8 weights as onnxruntime's own tool makes them."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    common.run_quietly([capstan, "export", source, f"output={folder}", "formats=[onnx]"])
    for name in ("encoder_model", "decoder_model_merged"):
        source_file = folder / f"onnx/{name}.onnx"
        graph = onnx.load(source_file).graph
        matrices = {weight.name for weight in graph.initializer if len(weight.dims) == 2}
        # The runtime has no int8 product for the small matrices that lie one for each head.
        others = [node.name for node in graph.node if node.op_type == "MatMul" and node.input[1] not in matrices]
        quantize_dynamic(source_file, folder / f"onnx/{name}_quantized.onnx", op_types_to_quantize=["MatMul"],
                         nodes_to_exclude=others, per_channel=True, weight_type=QuantType.QInt8)


def convert(source, folder):
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(source)).convert(str(folder), force=True)


def make_all(capstan, folder, quick, parts):
    """Folders of the parts that are measured; those that are there from an earlier time are taken as they are."""
    shape = TINY if quick else FULL
    steps = []
    if "caption" in parts:
        steps += [("captioner", lambda to: make_captioner(to, shape)),
                  ("exported", lambda to: export(capstan, folder / "captioner", to))]
    if "decoder" in parts:
        steps += [("decoder", lambda to: make_decoder(to, shape)),
                  ("converted", lambda to: convert(folder / "decoder", to))]
    for name, make in steps:
        target, begun = folder / name, folder / f"{name}.begun"
        if target.exists():
            continue
        print(f"making {name} ...", flush=True)
        shutil.rmtree(begun, ignore_errors=True)
        make(begun)
        begun.rename(target)
    return {name: folder / name for name, _ in steps}


def read_config(folder):
    return json.loads((folder / "config.json").read_text())


def encoder_operations(config):
    """Multiplications and additions of one picture in a vision transformer's products."""
    import transformers

    c = transformers.ViTConfig(**config["encoder"])
    patches = (c.image_size // c.patch_size) ** 2
    tokens, width = patches + 1, c.hidden_size
    block = 2 * tokens * width * (4 * width + 2 * c.intermediate_size) + 4 * tokens**2 * width
    return 2 * patches * width * c.num_channels * c.patch_size**2 + c.num_hidden_layers * block


def step_weights(config):
    """Numbers in the matrices that one step of the decoder reads."""
    import transformers

    c = transformers.GPT2Config(**config.get("decoder", config))
    inner = c.n_inner or 4 * c.n_embd
    block = c.n_embd * (4 * c.n_embd + 2 * inner + (2 * c.n_embd if c.add_cross_attention else 0))
    return c.n_layer * block + c.vocab_size * c.n_embd
