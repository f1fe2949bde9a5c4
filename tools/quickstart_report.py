#!/usr/bin/env python3
"""What quickstart.sh shows of an evaluation.

tools/quickstart_report.py pictures EVALUATION.json FOLDER COUNT   paths of the first held-out pictures, below FOLDER
tools/quickstart_report.py scores EVALUATION.json                  one line of scores
"""

import json
import pathlib
import sys


def pictures(report, folder, count):
    """The evaluation names pictures as their corpus does, so they are looked for below its folder."""
    for caption in report["captions"][:count]:
        found = sorted(pathlib.Path(folder).rglob(pathlib.Path(caption["file"]).name))
        if not found:
            sys.exit(f"{folder}: holds no picture {caption['file']}, which the evaluation names")
        print(found[0])


def scores(report):
    text = ", ".join(f"{name} {value:.4f}" for name, value in sorted(report["scores"].items()))
    print(f"  scores          {text} ({report['num_images']} held-out pictures)")


def main():
    report = json.loads(pathlib.Path(sys.argv[2]).read_text())
    if sys.argv[1] == "pictures":
        pictures(report, sys.argv[3], int(sys.argv[4]))
    else:
        scores(report)


if __name__ == "__main__":
    main()
