"""What the measurements share: the environment, the pictures, runs that take turns, and the table with its ratios.

Two sides are never measured one after the other as blocks: runs take turns (ours, theirs, ours, theirs, ...), so that
whatever else the machine does meets both. A figure is the median of its runs; the spread is (largest - smallest) /
median.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
PICTURES = {".jpg", ".jpeg", ".png"}


def enter(packages):
    """Goes on in the project's virtual environment, with `packages` installed there. Call before other imports."""
    python = REPO / ".venv" / "bin" / "python"
    if not python.exists():
        sys.exit("there is no .venv; run tools/setup.sh test first")
    if pathlib.Path(sys.prefix).resolve() != (REPO / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        print(f"installing what is missing: {', '.join(missing)}", file=sys.stderr)
        requirements = REPO / "tools" / "requirements-bench.txt"
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
    # Nothing is looked up in the network; one thread where a program does not say otherwise.
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def arguments(description, example):
    parser = argparse.ArgumentParser(
        description=description, epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each side (default 3)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--build", type=pathlib.Path, metavar="DIR", help="build folder (default: the newest)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only to see that it works")
    return parser


def cores():
    return len(os.sched_getaffinity(0))


def program(name, build=None, make=True):
    """A program of ours: the one of `build`, else the newest. The measuring ones are built here when they are old,
    unless `make` is false: two builds at a time in one folder spoil it.
    """
    folders = [build] if build else [path.parents[1] for path in REPO.glob("build/*/bin/capstan")]
    folders.sort(key=lambda folder: (folder / "bin" / "capstan").stat().st_mtime)
    if not folders:
        sys.exit("build/*/bin/capstan does not exist; build the project first: cmake --preset release && "
                 "cmake --build build/release")
    path = folders[-1].resolve() / "bin" / name
    if not make and not path.exists():
        sys.exit(f"{path} does not exist; build the target {name} first, or leave out --no-build")
    if make and name != "capstan":
        built = subprocess.run(
            ["cmake", "--build", folders[-1], "--target", name], capture_output=True, text=True,
            env={**os.environ, "PATH": f"{REPO / '.venv' / 'bin'}:{os.environ['PATH']}"},
        )
        if built.returncode != 0:
            sys.exit(f"{name} cannot be built:\n{built.stdout[-3000:]}{built.stderr[-3000:]}")
    return path


def run_json(command, **options):
    """The JSON object that a program prints on its last line."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {result.returncode}\n{result.stdout}{result.stderr}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def run_quietly(command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=REPO)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {result.returncode}\n{result.stdout}{result.stderr}")


def shared_data():
    folder = pathlib.Path(os.environ.get("CAPSTAN_SHARED_DATA") or REPO.parent / "shared" / "data")
    return folder.resolve() if folder.is_dir() else None


def find_photos(given, capstan, work):
    """Picture files: of the folder that was given, else the shared COCO photos, else the built-in picture set."""
    shared = shared_data()
    folder = given or (shared / "coco" / "tiny_coco" if shared else None)
    if folder is None or not folder.is_dir():
        if given:
            sys.exit(f"{given}: there is no such folder")
        folder = draw_scenes(capstan, work)
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not photos:
        sys.exit(f"{folder}: holds no .jpg or .png pictures")
    return folder, photos


def draw_scenes(capstan, work):
    """The pictures that the program draws itself; small, so figures are not those of photos."""
    source = {"name": "scenes", "config": {"folder": str(work / "drawn")}}
    config = {"output": str(work / "scenes"), "sources": [source],
              "tokenizer": {"train": "byte_bpe", "byte_bpe": {"vocab_size": 400}}, "image": {"size": 64}}
    (work / "scenes.yaml").write_text(json.dumps(config))  # JSON is YAML
    run_quietly([capstan, "prepare", work / "scenes.yaml"])
    return work / "drawn"


def captions_by_file(folder):
    """The captions of COCO annotation files in `folder`, by file name."""
    captions = {}
    for path in sorted(folder.rglob("captions_*.json")):
        file = json.loads(path.read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in file["images"]}
        for row in file["annotations"]:
            if row["image_id"] in names:
                captions.setdefault(names[row["image_id"]], []).append(row["caption"].strip())
    return captions


def repeat_photos(folder, photos, count, work):
    """`count` names for the photos, as hard links where the disk allows, and the captions of each."""
    known = captions_by_file(folder)
    target = work / "pictures"
    target.mkdir()
    files, captions = [], []
    for number in range(count):
        photo = photos[number % len(photos)]
        link = target / f"{number:06d}{photo.suffix.lower()}"
        try:
            os.link(photo, link)
        except OSError:
            link.symlink_to(photo)
        files.append(link)
        captions.append(known.get(photo.name) or [f"a picture with number {number}", "one of many pictures"])
    return files, captions


def write_coco(files, captions, path):
    """The same as a COCO captions file, which the program reads."""
    rows = [(number, text) for number, texts in enumerate(captions) for text in texts]
    path.write_text(json.dumps({
        "images": [{"id": number, "file_name": file.name} for number, file in enumerate(files)],
        "annotations": [{"id": i, "image_id": number, "caption": text} for i, (number, text) in enumerate(rows)],
    }))


def folder_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def work_folder(parent=None):
    return tempfile.TemporaryDirectory(prefix="capstan-bench-", dir=parent)


class Report:
    """Collects the figures of one measurement and prints them as they come."""

    def __init__(self, options):
        self.options = options
        self.facts = {"command": " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]), "commit": commit(),
                      "cores": cores(), "cpu": cpu_name(), "load_before": os.getloadavg()[0]}
        self.rows, self.values = [], {}
        for key, value in self.facts.items():
            print(f"{key:12} {value}")
        if options.quick:
            print("--quick: the sizes are tiny; these figures mean nothing")

    def compare(self, name, unit, sides):
        """`sides`: name -> callable that gives amount per second; the first is ours. They take turns."""
        runs = {side: [] for side in sides}
        for repeat in range(self.repeats()):
            for side, measure in sides.items():
                runs[side].append(measure())
                print(f"  run {repeat + 1}  {side:34} {runs[side][-1]:>14,.1f} {unit}", flush=True)
        return self.record(name, unit, runs)

    def repeats(self):
        return 1 if self.options.quick else self.options.repeats

    def record(self, name, unit, runs):
        """Prints the medians of runs that took turns (side -> amounts per second; the first is ours)."""
        ours = next(iter(runs))
        medians = {side: statistics.median(values) for side, values in runs.items()}
        print(f"{name} ({unit}, median of {len(runs[ours])}, spread)")
        for side, values in runs.items():
            spread = (max(values) - min(values)) / medians[side]
            ratio = "" if side == ours else f"   {ours} is {medians[ours] / medians[side]:.2f} times that"
            digits = 1 if medians[side] >= 100 else 3
            print(f"  {side:40} {medians[side]:>14,.{digits}f}  {spread:6.1%}{ratio}", flush=True)
        self.rows.append({"name": name, "unit": unit, "runs": runs, "medians": medians,
                          "ratios": {side: medians[ours] / medians[side] for side in runs if side != ours}})
        return medians

    def value(self, name, value, unit=""):
        self.values[name] = value
        print(f"{name:56} {value:>14,.4g} {unit}", flush=True)

    def target(self, name, value, at_least=None, at_most=None):
        """One of `at_least` and `at_most` is given."""
        met = value >= at_least if at_most is None else value <= at_most
        bound = {"at_least": at_least} if at_most is None else {"at_most": at_most}
        self.values[f"target: {name}"] = {"value": value, **bound, "met": met}
        said = " ".join(f"{key.replace('_', ' ')} {limit:g}" for key, limit in bound.items())
        print(f"target {name:49} {value:>14,.2f} ({said}): {'met' if met else 'MISSED'}", flush=True)

    def finish(self):
        if self.options.json:
            result = {**self.facts, "load_after": os.getloadavg()[0], "quick": self.options.quick,
                      "comparisons": self.rows, "values": self.values}
            self.options.json.write_text(json.dumps(result, indent=1) + "\n")


def commit():
    def git(*words):
        return subprocess.run(["git", *words], cwd=REPO, capture_output=True, text=True).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if git("status", "--short") else "")


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
