"""`capstan score` against rouge_score 0.1.2, pair by pair and as means."""

import json
import random
import re

import pytest
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer

TOLERANCE = 1e-9
KEYS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
STEMMER = pytest.mark.parametrize("use_stemmer", [False, True], ids=["plain", "stemmed"])


def run_score(capstan, folder, predictions, references, use_stemmer):
    """The printed means and the scores of each pair."""
    per_pair = folder / "pairs.jsonl"
    result = capstan(
        "score",
        f"predictions={predictions}",
        f"references={references}",
        "metrics=[rouge]",
        f"use_stemmer={'true' if use_stemmer else 'false'}",
        f"per_pair={per_pair}",
    )
    assert result.returncode == 0, result.stderr
    pairs = [json.loads(line) for line in per_pair.read_text(encoding="utf-8").split("\n") if line]
    return json.loads(result.stdout), pairs


def compare(means, pairs, predictions, references, use_stemmer):
    """`references` holds a list of texts for each prediction."""
    scorer = rouge_scorer.RougeScorer(KEYS, use_stemmer=use_stemmer)
    assert len(pairs) == len(predictions)
    sums = dict.fromkeys(KEYS, 0.0)
    for ours, prediction, targets in zip(pairs, predictions, references):
        theirs = scorer.score_multi(targets, prediction)
        for key in KEYS:
            assert abs(ours[key] - theirs[key].fmeasure) <= TOLERANCE, (key, prediction, targets, ours, theirs)
            sums[key] += theirs[key].fmeasure
    assert sorted(means) == KEYS
    for key in KEYS:
        assert abs(means[key] - sums[key] / len(predictions)) <= TOLERANCE, key


def check_images(capstan, folder, predictions, references, use_stemmer):
    results = [{"image_id": i, "caption": text} for i, text in enumerate(predictions)]
    annotations = [{"image_id": i, "caption": text} for i, texts in enumerate(references) for text in texts]
    (folder / "results.json").write_text(json.dumps(results), encoding="ascii")
    document = json.dumps({"annotations": annotations}, ensure_ascii=False)
    (folder / "references.json").write_text(document, encoding="utf-8")
    means, pairs = run_score(capstan, folder, folder / "results.json", folder / "references.json", use_stemmer)
    assert [pair["id"] for pair in pairs] == [str(i) for i in range(len(predictions))]
    compare(means, pairs, predictions, references, use_stemmer)
    return means


WORDS = """a an the two dog dogs cat cats man running runs riding skies sky dying flies agreed feed happily enjoyment
relational conditional electricity generalizations oscillators news innings proceed streets near red circle triangle
photographs 2 42nd x2 T-shirt don't well-known K\u212aelvin \u0130stanbul caf\u00e9 stra\u00dfe
\u4e00\u53ea\u732b \u0441\u043e\u0431\u0430\u043a\u0430
\U0001f600 \u03a3\u03a3 \ufb01sh \u00bd I\u0307 yyyyyyy sssss alli ationalli logi zlogi fulli eed ing ied
sied""".split()


def random_text(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice(["", " ", "\n", "\n\n", ".", "\u00e9", "/", "\r\n", "a", "\u212a"])
    if kind == 1:  # any characters, surrogates excepted
        points = [rng.choice([rng.randrange(128), rng.randrange(0x300), rng.randrange(0x110000)]) for _ in range(40)]
        return "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)
    if kind == 2:  # few words, often repeated, over several lines
        few = rng.sample(WORDS, 4)
        return "".join(rng.choice(few) + rng.choice([" ", " ", " ", "\n"]) for _ in range(rng.randint(1, 90)))
    if kind == 3:
        return "\n".join(" ".join(rng.choices(WORDS, k=rng.randint(0, 9))) for _ in range(rng.randint(1, 6)))
    return rng.choice([" ", " ", ", ", "-"]).join(rng.choices(WORDS, k=rng.randint(1, 20)))


def altered(rng, text):
    words = re.split("( |\n)", text)
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(words))
        words[at : at + 1] = rng.choice([[], [words[at], " ", words[at]], [rng.choice(WORDS)], ["\n"]])
        words = words or [""]
    return "".join(words)


@STEMMER
def test_random_pairs_equal_rouge_score(capstan, tmp_path, use_stemmer):
    rng = random.Random(11)
    predictions = [random_text(rng) for _ in range(1500)]
    references = [
        [altered(rng, text) if rng.random() < 0.7 else random_text(rng) for _ in range(rng.randint(1, 3))]
        for text in predictions
    ]
    means = check_images(capstan, tmp_path, predictions, references, use_stemmer)
    assert 0.1 < means["rouge2"] < means["rouge1"] < 0.9


@STEMMER
def test_long_texts_equal_rouge_score(capstan, tmp_path, use_stemmer):
    rng = random.Random(12)
    predictions, references = [], []
    for _ in range(12):
        text = "".join(rng.choice(WORDS) + rng.choice([" "] * 30 + ["\n"]) for _ in range(rng.randint(200, 500)))
        shuffled = text.split("\n")
        rng.shuffle(shuffled)
        predictions.append(text)
        references.append([altered(rng, "\n".join(shuffled)), text.replace("\n", " ")])
    check_images(capstan, tmp_path, predictions, references, use_stemmer)


@STEMMER
def test_text_files_with_broken_utf8_equal_rouge_score_after_replacement(capstan, tmp_path, use_stemmer):
    rng = random.Random(13)
    pieces = [word.encode() for word in WORDS] + [b"\xff", b"\xe2\x84", b"\xc4", b"\xe2\xc4\xb0", b"\xf0\x9f", b"\x00"]
    lines = [
        [b" ".join(rng.choices(pieces, k=rng.randint(0, 12))) for _ in range(300)] for _ in range(2)
    ]
    for name, content in zip(["predictions.txt", "references.txt"], lines):
        (tmp_path / name).write_bytes(b"\n".join(content) + b"\n")
    means, pairs = run_score(
        capstan, tmp_path, tmp_path / "predictions.txt", tmp_path / "references.txt", use_stemmer
    )
    predictions, references = [[line.decode("utf-8", "replace") for line in side] for side in lines]
    compare(means, pairs, predictions, [[text] for text in references], use_stemmer)


@STEMMER
def test_coco_captions_equal_rouge_score(capstan, shared, tmp_path, use_stemmer):
    annotations = json.loads((shared / "coco/captions_val2017.json").read_text(encoding="utf-8"))["annotations"]
    captions = {}
    for entry in annotations:
        captions.setdefault(entry["image_id"], []).append(entry["caption"])
    chosen = [texts for texts in captions.values() if len(texts) > 1][:1000]
    check_images(capstan, tmp_path, [texts[0] for texts in chosen], [texts[1:] for texts in chosen], use_stemmer)


@STEMMER
def test_published_files_equal_rouge_score(capstan, shared, tmp_path, use_stemmer):
    folder = shared / "rouge/testdata"
    for kind in ["", "_large"]:
        files = [folder / f"prediction{kind}.txt", folder / f"target{kind}.txt"]
        predictions, references = [path.read_text(encoding="utf-8").rstrip("\n").split("\n") for path in files]
        means, pairs = run_score(capstan, tmp_path, *files, use_stemmer)
        compare(means, pairs, predictions, [[text] for text in references], use_stemmer)


@STEMMER
def test_multilingual_texts_equal_rouge_score(capstan, shared, tmp_path, use_stemmer):
    lines = (shared / "gpt2/expected_ids.jsonl").read_text(encoding="utf-8").split("\n")
    texts = [json.loads(line)["text"] for line in lines if line]
    rng = random.Random(14)
    # Each text with itself altered, and with its neighbour as a second reference.
    references = [[altered(rng, text), texts[i - 1]] for i, text in enumerate(texts)]
    check_images(capstan, tmp_path, texts, references, use_stemmer)


def test_stems_of_real_words_equal_nltk(capstan, shared, tmp_path):
    """A word matches its NLTK stem, and its neighbours in the alphabet, exactly where it does in rouge_score."""
    sources = ["coco/captions_val2017.json", "gpt2/expected_ids.jsonl", "sentencepiece/botchan.txt",
               "flickr30k/results_20130124.token", "gpt2/vocab.json"]
    text = "\n".join((shared / source).read_text(encoding="utf-8") for source in sources).lower()
    words = sorted(set(re.findall("[a-z0-9]{4,40}", text)))
    assert len(words) > 20000
    stem = PorterStemmer().stem
    predictions = words + words[1:]
    references = [stem(word) for word in words] + words[:-1]
    for name, content in [("words.txt", predictions), ("stems.txt", references)]:
        (tmp_path / name).write_text("\n".join(content) + "\n", encoding="ascii")
    _, pairs = run_score(capstan, tmp_path, tmp_path / "words.txt", tmp_path / "stems.txt", True)

    def token(word):
        return stem(word) if len(word) > 3 else word

    wrong = [
        (left, right)
        for pair, left, right in zip(pairs, predictions, references)
        if (pair["rouge1"] == 1.0) != (token(left) == token(right))
    ]
    assert wrong == []
