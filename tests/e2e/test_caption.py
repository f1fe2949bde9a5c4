"""capstan caption: what may be given, what comes out, and how it ends."""

import csv
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tiny


@pytest.fixture(scope="module")
def model(run):
    return tiny.checkpoint(run, 120)


@pytest.fixture(scope="module")
def pictures(dataset):
    return sorted((dataset / "validation").glob("*.jpg"))


@pytest.fixture(scope="module")
def expected(capstan, model, pictures):
    """path -> caption, each picture with a run of its own batch."""
    output = capstan("caption", model, *pictures, "batch_size=1", check=True).stdout
    return dict(line.split("\t") for line in output.splitlines())


@pytest.fixture
def folder(pictures, tmp_path):
    """Pictures at several depths beside what is none."""
    root = tmp_path / "photos"
    for name, picture in zip(("b.jpg", "a.JPEG", "sub/c.jpg", "sub/deep/d.jpg", "z.jpg", ".hidden.jpg"), pictures):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, root / name)
    (root / "notes.txt").write_text("no picture")
    (root / "sub/link").symlink_to(root)
    return root


def paths_of(result):
    return [line.split("\t")[0] for line in result.stdout.splitlines()]


def captions_of(result):
    return [line.split("\t")[1] for line in result.stdout.splitlines()]


def inside(folder, *names):
    return [str(folder / name) for name in names]


# --- what may be given ---


def test_order_is_that_of_the_arguments_for_any_batch_and_threads(capstan, model, pictures, expected):
    order = [*reversed(pictures), *pictures, pictures[3]]
    for options in (["batch_size=1", "threads=1"], ["batch_size=3", "threads=4"], []):
        result = capstan("caption", model, *order, *options, check=True)
        assert [tuple(line.split("\t")) for line in result.stdout.splitlines()] == [
            (str(path), expected[str(path)]) for path in order
        ]


def test_folder_is_walked_in_order_of_names(capstan, model, folder):
    result = capstan("caption", model, folder, check=True)
    assert paths_of(result) == inside(folder, "a.JPEG", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg", "z.jpg")


@pytest.mark.parametrize(
    "pattern, names",
    [
        ("*.jpg", ("b.jpg", "z.jpg")),
        ("[ab].*", ("a.JPEG", "b.jpg")),
        ("?.jp*g", ("b.jpg", "z.jpg")),
        ("*/*.jpg", ("sub/c.jpg",)),
        ("su*", ("sub/c.jpg", "sub/deep/d.jpg")),
        ("**/*.jpg", ("b.jpg", "z.jpg", "sub/c.jpg", "sub/deep/d.jpg")),
        ("sub/**/d.*", ("sub/deep/d.jpg",)),
    ],
)
def test_patterns_that_no_shell_has_expanded(capstan, model, folder, pattern, names):
    assert paths_of(capstan("caption", model, folder / pattern, check=True)) == inside(folder, *names)
    relative = capstan("caption", model, pattern, cwd=folder, check=True)
    assert paths_of(relative) == list(names)


def test_file_whose_name_looks_like_a_pattern_is_a_file(capstan, model, folder):
    shutil.copy(folder / "b.jpg", folder / "odd[1].jpg")
    assert paths_of(capstan("caption", model, folder / "odd[1].jpg", check=True)) == inside(folder, "odd[1].jpg")


def test_named_file_needs_no_extension(capstan, model, folder):
    shutil.copy(folder / "b.jpg", folder / "picture")
    assert paths_of(capstan("caption", model, folder / "picture", check=True)) == inside(folder, "picture")


def test_list_on_standard_input(capstan, model, pictures, expected, folder):
    lines = f"{pictures[2]}\n\n{pictures[0]}\r\n{folder}\n{pictures[1]}"
    result = capstan("caption", model, pictures[5], "-", pictures[4], input=lines, check=True)
    assert paths_of(result) == [
        str(pictures[5]),
        str(pictures[2]),
        str(pictures[0]),
        *inside(folder, "a.JPEG", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg", "z.jpg"),
        str(pictures[1]),
        str(pictures[4]),
    ]
    assert captions_of(result)[1] == expected[str(pictures[2])]


def test_empty_list_is_no_error(capstan, model):
    result = capstan("caption", model, "-", input="", check=True)
    assert result.stdout == ""


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "bmp", "tiff", "gif"])
@pytest.mark.parametrize("option", [[], ["stdin=picture"]])
def test_picture_on_standard_input(capstan, model, pictures, tmp_path, kind, option):
    from PIL import Image

    file = tmp_path / f"picture.{kind}"
    Image.open(pictures[0]).save(file)
    command = [str(capstan.path), "caption", str(model), "-", *option]
    with file.open("rb") as stream:
        result = subprocess.run(command, stdin=stream, capture_output=True, env=capstan.environment(), check=True)
    named = capstan("caption", model, file, check=True)
    assert result.stdout.decode() == named.stdout.replace(str(file), "-")


def test_lines_are_answered_as_they_come(capstan, model, pictures, expected):
    command = [str(capstan.path), "caption", str(model), "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=capstan.environment()
    ) as process:
        for picture in pictures[:3]:
            process.stdin.write(f"{picture}\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{picture}\t{expected[str(picture)]}\n"
        process.stdin.close()
        assert process.wait(30) == 0


# --- what comes out ---


def test_json_and_csv_say_what_text_says(capstan, model, pictures, expected, tmp_path):
    odd = tmp_path / 'a "quoted", name.jpg'
    shutil.copy(pictures[0], odd)
    order = [*map(str, pictures), str(odd)]
    want = [(path, expected.get(path, expected[str(pictures[0])])) for path in order]
    objects = [json.loads(line) for line in capstan("caption", model, *order, "output=json").stdout.splitlines()]
    assert [(one["path"], one["caption"]) for one in objects] == want
    assert all(set(one) == {"path", "caption", "score"} and one["score"] < 0 for one in objects)
    rows = list(csv.DictReader(io.StringIO(capstan("caption", model, *order, "output=csv").stdout)))
    assert [(row["path"], row["caption"]) for row in rows] == want
    assert all(row["rank"] == "1" for row in rows)
    assert [float(row["score"]) for row in rows] == pytest.approx([one["score"] for one in objects], abs=1e-6)


def transformers_beams(model, pictures, beams, count, **settings):
    import torch
    from PIL import Image
    from transformers import AutoTokenizer, VisionEncoderDecoderModel, ViTImageProcessorPil

    reference = VisionEncoderDecoderModel.from_pretrained(model).eval()
    processor, tokenizer = ViTImageProcessorPil.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    pixels = processor([Image.open(picture).convert("RGB") for picture in pictures], return_tensors="pt").pixel_values
    with torch.no_grad():
        result = reference.generate(
            pixels,
            num_beams=beams,
            num_return_sequences=count,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
            **settings,
        )
    texts = [text.strip() for text in tokenizer.batch_decode(result.sequences, skip_special_tokens=True)]
    return list(zip(texts, result.sequences_scores.tolist()))


@pytest.mark.parametrize("beams", [3, 5])
def test_alternatives_are_those_of_transformers(capstan, model, pictures, beams):
    want = transformers_beams(model, pictures[:6], beams, 3, max_new_tokens=20, length_penalty=0.8)
    arguments = (model, *pictures[:6], "alternatives=3", f"num_beams={beams}", "max_new_tokens=20")
    result = capstan("caption", *arguments, "length_penalty=0.8", "output=csv", check=True)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["caption"] for row in rows] == [text for text, _ in want]
    assert [float(row["score"]) for row in rows] == pytest.approx([score for _, score in want], abs=1e-4)
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 6


def test_alternatives_in_each_form(capstan, model, pictures):
    text = capstan("caption", model, pictures[0], "alternatives=3", check=True).stdout.splitlines()
    objects = capstan("caption", model, pictures[0], "alternatives=3", "output=json", check=True).stdout.splitlines()
    one = json.loads(objects[0])
    assert len(objects) == 1 and len(text) == 3
    assert one["caption"] == one["alternatives"][0]["caption"]
    assert [line.split("\t")[:2] for line in text] == [
        [str(pictures[0]), other["caption"]] for other in one["alternatives"]
    ]
    scores = [other["score"] for other in one["alternatives"]]
    assert scores == sorted(scores, reverse=True)
    assert [float(line.split("\t")[2]) for line in text] == pytest.approx(scores, abs=1e-6)


def test_sampled_alternatives_depend_on_the_seed_alone(capstan, model, pictures):
    def draw(*options):
        arguments = (*pictures, "do_sample=true", "top_k=0", "temperature=2.0", "alternatives=4", *options)
        return capstan("caption", model, *arguments, check=True).stdout

    assert draw("seed=1") == draw("seed=1", "batch_size=2", "threads=3")
    assert draw("seed=1") != draw("seed=2")
    assert draw("seed=1").count("\n") == 4 * len(pictures)


def test_generation_options_change_captions(capstan, model, pictures, expected):
    path = pictures[0]
    shorter = captions_of(capstan("caption", model, path, "max_new_tokens=2", check=True))[0]
    assert expected[str(path)].startswith(shorter) and len(shorter) < len(expected[str(path)])
    # transformers leaves the stop string in the text; what the tokenizer gives at once with it stays too.
    stopped = captions_of(capstan("caption", model, path, "stop_strings=[e]", check=True))[0]
    assert "e" in expected[str(path)] and expected[str(path)].startswith(stopped)
    assert len(stopped) < len(expected[str(path)])


def test_dtypes_give_captions(capstan, model, pictures):
    for dtype in ("bfloat16", "int8"):
        assert len(captions_of(capstan("caption", model, *pictures, f"dtype={dtype}", check=True))) == len(pictures)


# --- what goes wrong ---


def test_unreadable_pictures_are_named_and_the_rest_is_done(capstan, model, pictures, expected, tmp_path):
    bad, empty, gone = tmp_path / "bad.jpg", tmp_path / "empty.png", tmp_path / "gone.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    empty.write_bytes(b"")
    result = capstan("caption", model, bad, pictures[0], empty, gone, pictures[1], tmp_path / "no*.jpg")
    assert result.returncode == 1
    assert paths_of(result) == [str(pictures[0]), str(pictures[1])]
    errors = [line for line in result.stderr.splitlines() if "rror" in line]
    for path, line in zip((bad, empty, gone, tmp_path / "no*.jpg"), errors, strict=True):
        assert str(path) in line


def test_folder_without_a_picture_is_an_error(capstan, model, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    result = capstan("caption", model, tmp_path)
    assert result.returncode == 1
    assert f"{tmp_path}: no picture" in result.stderr


def test_standard_input_that_is_no_picture(capstan, model):
    result = capstan("caption", model, "-", "stdin=picture", input="no picture at all")
    assert result.returncode == 1
    assert "standard input" in result.stderr
    assert "standard input" in capstan("caption", model, "-", "stdin=picture", input="").stderr


@pytest.mark.parametrize(
    "options, words",
    [
        (["batch_size=0"], ("batch_size", "auto", "1 to")),
        (["batch_size=many"], ("batch_size", "many")),
        (["output=xml"], ("output", "xml", "json")),
        (["num_beam=4"], ("num_beam", "num_beams")),
        (["num_beams=0"], ("num_beams", "1")),
        (["num_return_sequences=3"], ("num_return_sequences", "num_beams")),
        (["alternatives=-1"], ("alternatives",)),
        (["dtype=int4"], ("dtype", "int4", "int8")),
        (["dtype=float16", "device=cpu"], ("float16", "bfloat16")),
        (["stdin=jpg"], ("stdin", "picture")),
    ],
)
def test_wrong_options_are_refused(capstan, model, pictures, options, words):
    result = capstan("caption", model, pictures[0], *options)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr


def test_standard_input_twice_is_refused(capstan, model):
    result = capstan("caption", model, "-", "-", input="")
    assert result.returncode == 2
    assert "'-' is given twice" in result.stderr


# --- how it ends ---


def endless(capstan, model, **pipes):
    """A run whose list never ends."""
    command = [str(capstan.path), "caption", str(model), "-", "batch_size=2"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=capstan.environment(), **pipes,
    )


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_ends_it_after_what_is_under_way(capstan, model, pictures, number, code):
    with endless(capstan, model) as process:
        process.stdin.write(f"{pictures[0]}\n{pictures[1]}\n")
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(number)
        begin = time.monotonic()
        assert process.wait(30) == code
        assert time.monotonic() - begin < 10
        rest = process.stdout.read()
    assert first.startswith(f"{pictures[0]}\t")
    assert rest in ("", *(line for line in [rest] if line.startswith(f"{pictures[1]}\t") and line.endswith("\n")))


def test_signal_in_the_middle_prints_whole_lines_in_order(capstan, model, pictures):
    order = [str(path) for path in pictures] * 200
    process = subprocess.Popen(
        [str(capstan.path), "caption", str(model), *order], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=capstan.environment(),
    )
    with process:
        lines = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGTERM)
        lines += process.stdout.readlines()
        assert process.wait(30) == 143
        assert process.stderr.read() == ""
    assert len(lines) < len(order)
    assert [line.split("\t")[0] for line in lines] == order[: len(lines)]
    assert all(line.endswith("\n") for line in lines)


def test_reader_that_goes_away_ends_it_quietly(capstan, model, pictures):
    order = [str(path) for path in pictures] * 200
    process = subprocess.Popen(
        [str(capstan.path), "caption", str(model), *order, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=capstan.environment(),
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


def test_full_disk_is_said(capstan, model, pictures):
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is absent")
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [str(capstan.path), "caption", str(model), str(pictures[0])], stdout=full, stderr=subprocess.PIPE,
            text=True, env=capstan.environment(),
        )
    assert result.returncode == 1
    assert "standard output" in result.stderr


def test_progress_shows_rate_and_time_left_on_a_terminal_only(capstan, model, pictures):
    command = [str(capstan.path), "caption", str(model), *map(str, pictures * 20), "batch_size=1"]
    quiet = subprocess.run(command, capture_output=True, text=True, env=capstan.environment(), check=True)
    assert quiet.stderr == ""
    try:
        controller, terminal = pty.openpty()
    except OSError as error:  # a bare chroot has no /dev/pts
        pytest.skip(f"no terminal can be opened here: {error}")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal, env=capstan.environment())
    os.close(terminal)
    shown = b""
    try:
        while block := os.read(controller, 65536):
            shown += block
    except OSError:  # the other end is closed
        pass
    os.close(controller)
    assert process.wait(30) == 0
    assert f"/{len(pictures) * 20} pictures".encode() in shown
    assert b"pictures/s" in shown and b" left" in shown


def test_a_hundred_thousand_lines_take_no_more_memory(capstan, model, pictures):
    """Every line is an error, which is the fastest way through; what is kept would be kept for captions too."""

    def peak(count):
        lines = "".join(f"/nowhere/a-file-with-a-name-of-some-length-{i:08}.jpg\n" for i in range(count))
        script = (
            "import resource, subprocess, sys;"
            "p = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
            "print(p.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        result = subprocess.run(
            [sys.executable, "-c", script, str(capstan.path), "caption", str(model), "-"], input=lines,
            capture_output=True, text=True, env=capstan.environment(), check=True,
        )
        code, size = map(int, result.stdout.split())
        assert code == 1
        return size

    assert peak(100_000) - peak(100) < 8 * 1024, "KiB"
