"""Random-weight captioners saved by transformers, complete with tokenizer and processor, for the parity tests."""

import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

END = "<|endoftext|>"
SHAPES = {
    # Encoder and decoder of different widths: enc_to_dec_proj is in play.
    "tiny": dict(
        encoder=dict(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=24,
            patch_size=8,
        ),
        decoder=dict(n_embd=24, n_layer=2, n_head=3, n_positions=48),
    ),
    "small": dict(
        encoder=dict(
            hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=160, image_size=32,
            patch_size=4,
        ),
        decoder=dict(n_embd=64, n_layer=3, n_head=4, n_positions=64, n_inner=96),
    ),
    "other": dict(
        encoder=dict(
            hidden_size=48, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=32,
            patch_size=8, hidden_act="gelu_new", qkv_bias=False, layer_norm_eps=1e-6,
        ),
        decoder=dict(
            n_embd=48, n_layer=2, n_head=4, n_positions=40, activation_function="relu", tie_word_embeddings=False
        ),
    ),
    "full": dict(encoder=dict(), decoder=dict(n_layer=6, vocab_size=50257)),
}


def write_tokenizer(folder):
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["a red circle left of a blue square"] * 4, vocab_size=280, special_tokens=[END])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, bos_token=END, eos_token=END, unk_token=END, pad_token=END
    )
    fast.save_pretrained(folder)
    tokenizer.save_model(str(folder))


def randomize(model, scale, seed):
    """Every parameter, biases and norms too: zeros hide what an export drops."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if norm else scale * noise)


def pictures(model, count, seed=1):
    encoder = model.config.encoder
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, encoder.image_size, encoder.image_size, generator=generator)


def reference_ids(model, pixel_values, max_new_tokens, **settings):
    """transformers' greedy ids with the start token, padded after the end token."""
    with torch.no_grad():
        return model.generate(pixel_values, do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, **settings)


def first_places(ids, token):
    return [row.index(token) if token in row else len(row) for row in ids[:, 1:].tolist()]


def end_token(model, count=3, steps=16):
    """The id that ends the captions of `count` pictures at the most different steps, by what the model draws."""
    model.generation_config.eos_token_id = None
    ids = reference_ids(model, pictures(model, count), steps, eos_token_id=None, pad_token_id=0)
    best = max(set(ids[:, 1:].flatten().tolist()), key=lambda token: (len(set(first_places(ids, token))), token))
    assert len(set(first_places(ids, best))) > 1, "the random model draws the same caption for every picture"
    return best


def captioner(folder, shape, seed=0, scale=0.25):
    sizes = SHAPES[shape]
    decoder = dict(vocab_size=300, is_decoder=True, add_cross_attention=True) | sizes["decoder"]
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(**sizes["encoder"]), transformers.GPT2Config(**decoder, bos_token_id=0, eos_token_id=0)
    )
    config.decoder_start_token_id, config.pad_token_id = 0, 0
    model = transformers.VisionEncoderDecoderModel(config).eval()
    randomize(model, scale, seed)
    end = end_token(model)
    for part in (model.config, model.config.decoder, model.generation_config):
        part.eos_token_id = end
        part.pad_token_id = 0
    model.generation_config.decoder_start_token_id = 0
    model.generation_config.max_length = 17
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(
        size={"height": config.encoder.image_size, "width": config.encoder.image_size}
    ).save_pretrained(folder)
    write_tokenizer(folder)
    return model
