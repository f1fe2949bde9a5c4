#!/usr/bin/env python3
"""Writes tests/golden/byte_bpe.json: what Hugging Face tokenizers makes of small byte-level BPE tokenizers.

One is trained here on made-up captions; variants of it cover added tokens, prefix spaces and unknown bytes.
Run from the repository root:

    python tools/golden/make_byte_bpe.py
"""
import copy
import json
import pathlib
import random

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SEED = 20240611
VOCAB_SIZE = 340
MIN_FREQUENCY = 2
ALPHABET = pre_tokenizers.ByteLevel.alphabet()


def captions(generator):
    colours = ["red", "blue", "dark green", "bright orange", "violet"]
    shapes = ["circle", "square", "triangle", "star", "ring"]
    places = ["above", "below", "to the left of", "to the right of", "inside"]
    patterns = [
        "A {c} {s} {p} a {d} {t}.",
        "there's one {c} {s}; it isn't {p} the {d} {t}",
        "{n} {c} {s}s {p} {m} {d} {t}s!",
    ]
    words = {"c": colours, "d": colours, "s": shapes, "t": shapes, "p": places}
    words |= {"n": list("23456789"), "m": ["10", "12"]}
    return [
        generator.choice(patterns).format(**{key: generator.choice(values) for key, values in words.items()})
        for _ in range(200)
    ]


def train(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        min_frequency=MIN_FREQUENCY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=ALPHABET,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())


def added(token_id, content, **flags):
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": token_id, "content": content, **plain, **flags}


def small(unk, fuse):
    """A tokenizer that lacks most bytes."""
    tokens = ["<unk>", "a", "b", "\u0120", "ab", "\u0120ab", "aab"]
    return {
        "model": {
            "unk_token": unk,
            "fuse_unk": fuse,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": ["a b", "\u0120 ab", "a ab"],
        },
        "added_tokens": [],
    }


def variants(size):
    pre_tokenizer = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = added(0, "<|endoftext|>")
    return {
        "plain": {},
        "prefix_space": {"pre_tokenizer": {**pre_tokenizer, "add_prefix_space": True}},
        "no_words": {"pre_tokenizer": {**pre_tokenizer, "use_regex": False}},
        "stripping": {"added_tokens": [end, added(size, "[L]", lstrip=True), added(size + 1, "[R]", rstrip=True)]},
        "nested": {
            "added_tokens": [
                end,
                added(size, "circle", special=False, normalized=True),
                added(size + 1, "red circle", special=False, normalized=True),
                added(size + 2, "le s", special=False),
                added(size + 3, " \u00e9", special=False),
            ]
        },
        "unknown_dropped": small(None, False),
        "unknown_each": small("<unk>", False),
        "unknown_fused": small("<unk>", True),
    }


def texts(generator, some_captions):
    alphabet = "ab ab's'll're \t\n\u00a0\u3000\u00e9\u00f1\u03a9\u6f22\u0663\u00bd\u2167!?_-\u2026"
    alphabet += "\U0001f44b\u200d\u0301"
    pieces = ["<|endoftext|>", "[L]", "[R]", "circle", "red circle", " \u00e9", "a red circle star"]
    pieces += ["  [L]  [R]  ", "\u3000[L]"]
    result = ["", " ", "  ", "<|endoftext|>", " <|endoftext|> a", *some_captions[:12]]
    for _ in range(60):
        parts = generator.choices([*pieces, *alphabet], k=generator.randint(1, 16))
        result.append("".join(parts))
    return result


def merge_patch(base, patch):
    """JSON merge patch, except that lists and the small models replace what is there."""
    result = copy.deepcopy(base)
    for key, value in patch.items():
        result[key] = {**result[key], **value} if key == "model" else value
    return result


def main():
    generator = random.Random(SEED)
    some_captions = captions(generator)
    base = train(some_captions)
    base["model"]["merges"] = [" ".join(merge) for merge in base["model"]["merges"]]
    plain = Tokenizer.from_str(json.dumps(base))
    cases = []
    for name, patch in variants(VOCAB_SIZE).items():
        tokenizer = Tokenizer.from_str(json.dumps(merge_patch(base, patch)))
        rows = []
        for text in texts(generator, some_captions):
            rows.append({"text": text, "ids": tokenizer.encode(text).ids})
        size = tokenizer.get_vocab_size()
        decoded = []
        for _ in range(40):
            ids = generator.choices(range(size), k=generator.randint(0, 8))
            shown, kept = (tokenizer.decode(ids, skip_special_tokens=skip) for skip in (True, False))
            decoded.append({"ids": ids, "text": shown, "with_special": kept})
        cases.append({"name": name, "patch": patch, "encode": rows, "decode": decoded})
    golden = {
        "tokenizers": tokenizers.__version__,
        "seed": SEED,
        "vocab_size": VOCAB_SIZE,
        "min_frequency": MIN_FREQUENCY,
        "captions": some_captions,
        "caption_ids": [plain.encode(text).ids for text in some_captions],
        "base": base,
        "cases": cases,
    }
    path = pathlib.Path("tests/golden/byte_bpe.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="ascii")
    print(path.stat().st_size, "bytes,", len(base["model"]["vocab"]), "tokens,", len(cases), "cases")


if __name__ == "__main__":
    main()
