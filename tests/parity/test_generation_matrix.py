"""Every way to draw captions against transformers' generate: ids of many pictures and options, with fewer rows in
the engine than there is work, so that pictures join and leave all the time. Sampling is compared by distribution."""

import itertools
import json
import subprocess

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
import captioners  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

NUM_PICTURES = 200
MAX_NEW_TOKENS = 14
# Ours and theirs sum the same float32 numbers in another order.
SCORE_TOLERANCE = 1e-4


def ask(probe, folder, tmp_path, pixel_values, requests):
    """Captions of each request and seed: lists of pictures, of sequences, of {"ids", "score"}."""
    save_file({"pixel_values": pixel_values}, tmp_path / "in.safetensors")
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    files = [tmp_path / "in.safetensors", tmp_path / "requests.json", tmp_path / "out.json"]
    subprocess.run([probe, "generate_matrix", folder, *files], check=True)
    return json.loads((tmp_path / "out.json").read_text())


def eos_ids(model, options):
    ids = options.get("eos_token_id", model.generation_config.eos_token_id)
    return set(ids if isinstance(ids, list) else [ids])


def cut(row, ends):
    """A row of theirs without start token, and without the end token and what follows it."""
    return list(itertools.takewhile(lambda token: token not in ends, row[1:]))


def bare(row, pad):
    """Without padding, which follows a text that had no end token; a text may end in the pad token, too."""
    return row[: max((i + 1 for i, token in enumerate(row) if token != pad), default=0)]


def theirs(model, pixel_values, options, tokenizer=None):
    """(ids, score) of each sequence, picture after picture."""
    options = {"max_new_tokens": MAX_NEW_TOKENS, "num_beams": 1, "do_sample": False} | options
    if "max_length" in options:
        del options["max_new_tokens"]
    with torch.no_grad():
        out = model.generate(
            pixel_values, **options, tokenizer=tokenizer, return_dict_in_generate=True, output_scores=True
        )
    ends = eos_ids(model, options)
    ids = [cut(row, ends) for row in out.sequences.tolist()]
    if options["num_beams"] > 1:
        return ids, out.sequences_scores.tolist()
    steps = model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
    lengths = torch.tensor([len(row) + 1 for row in ids])[:, None]
    inside = torch.arange(steps.shape[1])[None] < lengths
    return ids, torch.where(inside, steps, 0.0).sum(1).tolist()


def options_list(model):
    """The matrix. Token ids come from what the model draws, so that every option matters."""
    ids = captioners.reference_ids(model, captioners.pictures(model, 24, seed=3), MAX_NEW_TOKENS)[:, 1:]
    end = model.generation_config.eos_token_id
    tokens, counts = ids[ids != end].unique(return_counts=True)
    common = [token for token in tokens[counts.argsort(descending=True)].tolist() if token != 0][:8]
    pair = next(
        [a, b] for row in ids.tolist() for a, b in itertools.pairwise(row) if a in common and b != end and b != 0
    )
    greedy = [
        {},
        {"max_new_tokens": 1},
        {"max_length": 9},
        {"min_new_tokens": 6},
        {"min_length": 8},
        {"min_length": 3, "min_new_tokens": 9},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 3},
        {"repetition_penalty": 1.3},
        {"repetition_penalty": 0.8},
        {"bad_words_ids": [[common[0]], pair, [common[1], common[2]], [end]]},
        {"forced_bos_token_id": common[3]},
        {"forced_eos_token_id": end},
        {"forced_eos_token_id": [end, common[0]]},
        {"suppress_tokens": common[:3]},
        {"begin_suppress_tokens": ids[:, 0].unique().tolist()[:3]},
        {"begin_suppress_tokens": common[:4], "forced_bos_token_id": common[1]},
        {"eos_token_id": [end, common[0], common[4]]},
        {"eos_token_id": [end, common[2]], "min_new_tokens": 5},
    ]
    every = {
        "repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "bad_words_ids": [[common[0]], pair],
        "min_new_tokens": 4, "forced_eos_token_id": end, "suppress_tokens": [common[5]],
        "begin_suppress_tokens": [common[1]],
    }
    beams = [{"num_beams": beams} for beams in range(2, 9)]
    # A choice of forced tokens makes beams of exactly the same score, whose order means nothing.
    beams += [{"num_beams": 3, "num_return_sequences": 3, **option} for option in greedy[1:]
              if not isinstance(option.get("forced_eos_token_id"), list)]
    beams += [
        {"num_beams": beams, "early_stopping": stop, "length_penalty": penalty, "num_return_sequences": 2}
        for beams, stop, penalty in itertools.product((2, 5), (True, False, "never"), (-0.7, 0.0, 0.6, 2.0))
    ]
    return [*greedy, every, *beams, {"num_beams": 4, **every}, {"num_beams": 8, "num_return_sequences": 8, **every}]


@pytest.fixture(scope="module", params=["tiny", "other"])
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, captioners.captioner(folder, request.param, seed=4)


def test_ids_and_scores_of_every_option_equal_transformers(probe, case, tmp_path):
    folder, model = case
    options = options_list(model)
    assert len(options) >= 40
    pixel_values = captioners.pictures(model, NUM_PICTURES, seed=11)
    requests = [
        {"options": {"max_new_tokens": MAX_NEW_TOKENS, "num_beams": 1} | option, "max_rows": 8 + 5 * (i % 7)}
        for i, option in enumerate(options)
    ]
    for request in requests:
        if "max_length" in request["options"]:
            del request["options"]["max_new_tokens"]
    results = ask(probe, folder, tmp_path, pixel_values, requests)
    assert len(results) == len(options)
    mismatches, lengths, changed = [], set(), 0
    plain, pad = {}, model.generation_config.pad_token_id
    for option, result in zip(options, results):
        expected_ids, expected_scores = theirs(model, pixel_values, option)
        ours = [sequence for picture in result for sequence in picture]
        assert len(ours) == len(expected_ids)
        for i, (sequence, ids, score) in enumerate(zip(ours, expected_ids, expected_scores)):
            lengths.add(len(ids))
            differs = abs(sequence["score"] - score) > SCORE_TOLERANCE * max(1, abs(score))
            if bare(sequence["ids"], pad) != bare(ids, pad) or differs:
                mismatches.append((option, i, sequence, ids, score))
        beams = option.get("num_beams", 1)
        best = [picture[0]["ids"] for picture in result]
        plain.setdefault(beams, best)
        changed += best != plain[beams]
    print(f"{len(options)} options, {NUM_PICTURES} pictures, {len(mismatches)} mismatches, lengths {sorted(lengths)}")
    assert not mismatches, f"{len(mismatches)} mismatches, the first ones: {mismatches[:3]}"
    assert len(lengths) > 8, "captions were meant to end at many lengths"
    assert changed > len(options) // 2, "options were meant to change captions"


def stop_strings_of(rows, tokenizer):
    """ASCII texts in what the model draws: within a token, over the border of two, and of two whole tokens."""
    pieces = []
    for row in rows:
        for pair in itertools.pairwise(token for token in row if 0 < token < len(tokenizer)):
            texts = [tokenizer.decode([token]) for token in pair]
            if all(text.isascii() and text for text in texts):
                pieces.append(texts)
    assert pieces, "the model draws no ASCII"
    longest = max(pieces, key=lambda texts: len(texts[0]) + len(texts[1]))
    return ["".join(pieces[0]), longest[0][-1] + longest[1][0], "".join(longest), pieces[-1][1][:1]]


@pytest.mark.parametrize("beams", [1, 3])
def test_stop_strings_end_captions_where_transformers_ends_them(probe, case, tmp_path, beams):
    folder, model = case
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pixel_values = captioners.pictures(model, 40, seed=21)
    plain, _ = theirs(model, pixel_values, {"num_beams": beams})
    strings = stop_strings_of(plain, tokenizer)
    options = [{"stop_strings": chosen, "num_beams": beams} for chosen in (strings[:1], strings[1:3], strings)]
    requests = [{"options": {"max_new_tokens": MAX_NEW_TOKENS} | option, "max_rows": 10} for option in options]
    results = ask(probe, folder, tmp_path, pixel_values, requests)
    stopped, pad = 0, model.generation_config.pad_token_id
    for option, result in zip(options, results):
        for i, picture in enumerate(result):
            # One at a time: in a batch of theirs a beam search goes on while another picture does.
            ids, _ = theirs(model, pixel_values[i : i + 1], option, tokenizer)
            assert bare(picture[0]["ids"], pad) == bare(ids[0], pad), (option, i)
            stopped += bare(ids[0], pad) != bare(plain[i], pad)
    assert stopped > 0


def chi_square_is_likely(observed, expected):
    """Pearson's test at 1e-4; the cells expected fewer than 5 times are one."""
    observed, expected = np.asarray(observed, float), np.asarray(expected, float)
    assert observed[expected == 0].sum() == 0, "tokens were drawn that have no probability"
    small = expected < 5
    cells = [*zip(observed[~small], expected[~small])]
    if expected[small].sum() > 1:
        cells.append((observed[small].sum(), expected[small].sum()))
    if len(cells) < 2:
        return
    statistic = sum((found - mean) ** 2 / mean for found, mean in cells)
    freedom = torch.tensor(len(cells) - 1.0, dtype=torch.float64)
    above = torch.special.gammaincc(freedom / 2, torch.tensor(statistic, dtype=torch.float64) / 2)
    assert above > 1e-4, (statistic, len(cells))


def first_step(model, pixel_values, options):
    """Probabilities of the first token as transformers' processors and warpers make them, one row a picture."""
    settings = {"do_sample": True, "max_new_tokens": 1, "num_return_sequences": 1} | options
    with torch.no_grad():
        out = model.generate(pixel_values, **settings, return_dict_in_generate=True, output_scores=True)
    return out.scores[0].softmax(-1).double().numpy()


WARPERS = [
    {"top_k": 0},
    {"top_k": 0, "temperature": 0.6},
    {"top_k": 0, "temperature": 1.7},
    {"top_k": 7},
    {"top_k": 0, "top_p": 0.6},
    {"top_k": 0, "top_p": 0.95},
    {"top_k": 0, "min_p": 0.1},
    {"top_k": 20, "top_p": 0.8, "min_p": 0.05, "temperature": 1.3},
    {"top_k": 12, "repetition_penalty": 1.5, "temperature": 0.9, "suppress_tokens": [5, 6]},
]


@pytest.mark.parametrize("options", WARPERS, ids=str)
def test_samples_have_the_distribution_of_transformers(probe, case, tmp_path, options):
    folder, model = case
    pixel_values, draws, seeds = captioners.pictures(model, 3, seed=31), 4000, 3
    drawn = {"do_sample": True, "max_new_tokens": 1, "num_return_sequences": draws} | options
    results = ask(probe, folder, tmp_path, pixel_values, [{"options": drawn, "max_rows": 5000, "seeds": seeds}])
    expected = first_step(model, pixel_values, options)
    end = model.generation_config.eos_token_id
    for picture, probabilities in enumerate(expected):
        assert (probabilities > 0).sum() > 1
        counts = np.zeros(probabilities.shape[0])
        for result in results:
            for sequence in result[picture]:
                counts[sequence["ids"][0] if sequence["ids"] else end] += 1
        chi_square_is_likely(counts, probabilities * draws * seeds)


def test_second_tokens_depend_on_the_first_as_in_transformers(probe, case, tmp_path):
    folder, model = case
    pixel_values, draws = captioners.pictures(model, 1, seed=33), 4000
    options = {"do_sample": True, "top_k": 6, "temperature": 1.5}
    request = {"options": {"max_new_tokens": 2, "num_return_sequences": draws} | options, "max_rows": 4000}
    results = ask(probe, folder, tmp_path, pixel_values, [request | {"seeds": 3}])
    first = first_step(model, pixel_values, options)[0]
    end = model.generation_config.eos_token_id
    observed, expected = [], []
    pairs = [tuple((sequence["ids"] + [end, end])[:2]) for result in results for sequence in result[0]]
    for token in np.flatnonzero(first):
        if token == end:
            continue
        with torch.no_grad():
            logits = model(pixel_values, decoder_input_ids=torch.tensor([[0, token]])).logits[0, -1].double()
        best = logits.topk(6)
        for second, share in zip(best.indices.tolist(), (best.values / 1.5).softmax(-1).tolist()):
            observed.append(pairs.count((token, second)))
            expected.append(first[token] * share * len(pairs))
    chi_square_is_likely([*observed, len(pairs) - sum(observed)], [*expected, len(pairs) - sum(expected)])


def test_beam_samples_have_the_distribution_of_transformers(probe, case, tmp_path):
    folder, model = case
    pixel_values, draws = captioners.pictures(model, 1, seed=35), 4000
    options = {"do_sample": True, "num_beams": 2, "top_k": 6, "top_p": 0.95, "temperature": 1.4}
    request = {"options": {"max_new_tokens": 1, "num_return_sequences": 2} | options, "max_rows": 2, "seeds": draws}
    results = ask(probe, folder, tmp_path, pixel_values, [request])
    # Warped log-probabilities of one beam; two tokens are drawn without replacement, and both are the answer.
    with torch.no_grad():
        settings = {"max_new_tokens": 1, "return_dict_in_generate": True, "output_scores": True} | options
        share = model.generate(pixel_values, **settings).scores[0][0].softmax(-1).double().numpy()
    end = model.generation_config.eos_token_id
    drawn = [tuple(sorted((s["ids"] + [end])[0] for s in result[0])) for result in results]
    observed, expected = [], []
    for a, b in itertools.combinations(np.flatnonzero(share).tolist(), 2):
        observed.append(drawn.count((min(a, b), max(a, b))))
        expected.append(draws * share[a] * share[b] * (1 / (1 - share[a]) + 1 / (1 - share[b])))
    assert sum(observed) == draws
    chi_square_is_likely(observed, expected)


def test_samples_do_not_depend_on_the_batch(probe, case, tmp_path):
    folder, model = case
    pixel_values = captioners.pictures(model, 12, seed=37)
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": 10, "num_return_sequences": 3, "temperature": 1.2}
    for beams in (1, 3):
        requests = [{"options": options | {"num_beams": beams}, "max_rows": rows} for rows in (3, 7, 64)]
        few, some, all_at_once = ask(probe, folder, tmp_path, pixel_values, requests)
        ids = [[[s["ids"] for s in picture] for picture in result] for result in (few, some, all_at_once)]
        assert ids[0] == ids[1] == ids[2]
        turned = ask(probe, folder, tmp_path, pixel_values.flip(0).contiguous(), requests[1:2])[0]
        assert [[s["ids"] for s in picture] for picture in turned[::-1]] == ids[1]
        assert len({str(picture) for picture in ids[0]}) > 6
