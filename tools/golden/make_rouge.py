#!/usr/bin/env python3
"""Makes tests/golden/rouge/{pairs,stems}.json with rouge_score and NLTK, from texts invented here.

Usage: tools/golden/make_rouge.py            (needs rouge-score and nltk; same output for the same versions)
"""

import json
import platform
import random
from importlib.metadata import version
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer

SEED = 20240611
TOLERANCE = 1e-12
KEYS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "rouge"

WORDS = """a an the two three dog dogs cat cats man men woman running runs ran rides riding ride skies sky dying flies
flying agreed feed bled happily happy enjoyment enjoy relational conditional electricity hopefulness generalizations
oscillators news innings proceed succeeded street streets near beside under between red green blue small large circle
square triangle striped photograph photographs image holding standing stands sits sitting 2 3 42 7th x2 COCO iPhone
T-shirt don't it's well-known K\u212aelvin \u0130stanbul caf\u00e9 na\u00efve stra\u00dfe \u00c5ngstr\u00f6m
\u4e00\u53ea\u732b \u0441\u043e\u0431\u0430\u043a\u0430 \U0001f600 \u03a3\u03a3 \ufb01sh
\u2167 \u0661\u0662 \u00bd""".split()
ROOTS = """act adopt adjust angul argu bow carr color compar comput connect cri deci defens depend digit educ effect
electr enjoy exceed fail fall feud fizz fl form formal gener gyroscop happ hesit hiss hop hopp homolog inf infer irrit
lov monk nat oper organ ow pl plast play po prob radic rat relat repl respons revit roll sens sing siz ski sky spe
st tann th t tr triplic troubl tr valenc vietnam vil y yy yell syzyg ex aa b 3d 12""".split()
SUFFIXES = """s es ies sses ss ed ied eed ing ying y ily ational tional enci ency anci ancy izer abli ably bly alli
ally ically entli ently eli ely ousli ously ization ation ator alism iveness fulness ousness aliti ality iviti ivity
biliti bility fulli fully logi logy icate ative alize iciti icity ical ful ness al ance ence er ic able ible ant ement
ment ent sion tion ion ou ism ate iti ity ous ive ize e ee l ll le les bled ated izing ingly edly
less lessness""".split()

IRREGULAR = """skies sky dying lying tying news innings inning outings outing cannings canning howe proceed exceed
succeed""".split()


def sentence(rng, length):
    glue = rng.choice([" ", " ", " ", "  ", ", ", "-", " / "])
    words = [rng.choice(WORDS) for _ in range(length)]
    text = glue.join(words) + rng.choice(["", ".", " .", "!"])
    return rng.choice([text, text, text, text.upper(), text.title()])


def changed(rng, text):
    """`text` with words dropped, doubled, moved or replaced, so that scores lie between 0 and 1."""
    lines = []
    for line in text.split("\n"):
        words = line.split(" ")
        for _ in range(rng.randint(0, 1 + len(words) // 2)):
            at = rng.randrange(len(words))
            words[at : at + 1] = rng.choice([[], [words[at]] * 2, [rng.choice(WORDS)], [words[at], rng.choice(WORDS)]])
            if not words:
                words = [rng.choice(WORDS)]
        if rng.random() < 0.3:
            rng.shuffle(words)
        lines.append(" ".join(words))
    if rng.random() < 0.3:
        rng.shuffle(lines)
    return "\n".join(lines)


def pair(rng, index):
    kind = index % 8
    if kind == 0:
        return rng.choice(["", " ", "\n", ".,;", "\u00e9\u00e8"]), sentence(rng, rng.randint(0, 6))
    if kind == 1:
        few = rng.sample(["a", "the", "dog", "dogs", "red"], 3)
        return tuple(" ".join(rng.choice(few) for _ in range(rng.randint(1, 30))) for _ in range(2))
    if kind == 2:
        few = rng.sample(WORDS, 6)
        text = lambda: "".join(rng.choice(few) + rng.choice([" ", " ", "\n"]) for _ in range(rng.randint(1, 40)))
        return text(), text()
    if kind == 3:
        text = "\n".join(sentence(rng, rng.randint(1, 9)) for _ in range(rng.randint(2, 5)))
        return changed(rng, text), text
    if kind == 4 and index % 5 == 0:
        text = sentence(rng, rng.randint(65, 150))
        return changed(rng, text), text
    text = sentence(rng, rng.randint(4, 16))
    return changed(rng, text), text


def make_pairs():
    rng = random.Random(SEED)
    scorers = {stem: rouge_scorer.RougeScorer(KEYS, use_stemmer=stem) for stem in (False, True)}
    cases = []
    for index in range(240):
        prediction, reference = pair(rng, index)
        case = {"prediction": prediction, "reference": reference}
        for stem, scorer in scorers.items():
            scores = scorer.score(reference, prediction)
            case["stemmed" if stem else "plain"] = [list(scores[key]) for key in KEYS]
        cases.append(case)
    return cases


def make_multi(pairs):
    """Several references for one prediction: the best of each key."""
    rng = random.Random(SEED + 1)
    scorer = rouge_scorer.RougeScorer(KEYS, use_stemmer=True)
    cases = []
    for case in pairs[::12]:
        references = [case["reference"]] + [changed(rng, case["reference"]) for _ in range(rng.randint(1, 4))]
        rng.shuffle(references)
        scores = scorer.score_multi(references, case["prediction"])
        cases.append(
            {"prediction": case["prediction"], "references": references, "stemmed": [list(scores[k]) for k in KEYS]}
        )
    return cases


def make_stems():
    rng = random.Random(SEED + 2)
    words = {root + suffix for root in ROOTS for suffix in SUFFIXES}
    words |= {root + rng.choice(SUFFIXES) + rng.choice(SUFFIXES) for root in ROOTS for _ in range(20)}
    words |= {"".join(rng.choice("aeiouybcdlstz") for _ in range(rng.randint(1, 9))) for _ in range(400)}
    words = sorted(words)
    kept = rng.sample(words, 2200)
    kept += IRREGULAR
    stemmer = PorterStemmer()
    return {word: stemmer.stem(word) for word in sorted(set(kept))}


def write(name, content):
    header = {
        "generator": "tools/golden/make_rouge.py",
        "seed": SEED,
        "versions": {
            "python": platform.python_version(),
            "rouge-score": version("rouge-score"),
            "nltk": version("nltk"),
        },
    }
    header.update(content)
    lines = [f" {json.dumps(key)}: {value}" for key, value in ((k, dump(v)) for k, v in header.items())]
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")


def dump(value):
    """One line for each case of a list, so that a difference is readable."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join("  " + json.dumps(item) for item in value) + "\n ]"
    return json.dumps(value)


def main():
    pairs = make_pairs()
    write(
        "pairs.json",
        {
            "tolerance": TOLERANCE,
            "columns": KEYS,
            "values": ["precision", "recall", "fmeasure"],
            "pairs": pairs,
            "multi": make_multi(pairs),
        },
    )
    write("stems.json", {"stems": make_stems()})


if __name__ == "__main__":
    main()
