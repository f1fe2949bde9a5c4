#!/usr/bin/env python3
"""Prints how many tests of each kind ran, from the JUnit files in a folder, with every failure and every skip's reason.

tools/test_summary.py RESULTS_DIR   ends with 1 when a test failed or when there is nothing to count.
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

SKIP_LINE = re.compile(r"SKIPPED:\s*(.*)")


def kind_of(case, file):
    """The kind of one test: its ctest label or pytest marker, both carried as JUnit properties."""
    if file.stem.startswith("asan-"):
        return "unit (ASan+UBSan)"
    for entry in case.iter("property"):
        if entry.get("name") in ("kind", "cmake_labels"):
            return entry.get("value")
    return "other"


def skip_reason(case):
    """Why a case was skipped: pytest's message, or the line that our SKIP macro prints."""
    message = case.find("skipped").get("message", "")
    output = SKIP_LINE.findall(case.findtext("system-out") or "")
    return output[0] if output else message


def outcome(case):
    if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def details(case):
    """What Catch2 wrote about a failure; ctest and pytest have shown theirs already."""
    texts = [element.text or "" for tag in ("failure", "error") for element in case.iter(tag)]
    return "".join("\n    " + line for text in texts for line in text.strip().splitlines()[:12])


def collect(folder):
    """Counts per kind, names of failures and reasons of skips."""
    counts = collections.defaultdict(collections.Counter)
    failures, skips = [], collections.Counter()
    for file in sorted(pathlib.Path(folder).glob("*.xml")):
        try:
            tree = xml.parse(file)
        except xml.ParseError:  # a sanitizer ended the program before its report was closed
            counts[f"{file.stem}"]["failed"] += 1
            failures.append(f"{file.stem}: ended without a complete report, see its output above")
            continue
        for case in tree.iter("testcase"):
            kind, result = kind_of(case, file), outcome(case)
            counts[kind][result] += 1
            name = " ".join(dict.fromkeys(filter(None, (case.get("classname"), case.get("name")))))
            if result == "failed":
                failures.append(f"{kind}: {name}{details(case) if file.stem.startswith('asan-') else ''}")
            elif result == "skipped":
                skips[f"{kind}: {skip_reason(case)}"] += 1
        for text in tree.iter("system-out"):
            if file.stem.startswith("asan-"):
                for reason in SKIP_LINE.findall(text.text or ""):
                    counts["unit (ASan+UBSan)"]["passed"] -= 1
                    counts["unit (ASan+UBSan)"]["skipped"] += 1
                    skips[f"unit (ASan+UBSan): {reason}"] += 1
    return counts, failures, skips


def main():
    counts, failures, skips = collect(sys.argv[1])
    total = collections.Counter()
    print(f"\n{'kind':<22}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for kind, row in sorted(counts.items()):
        total.update(row)
        print(f"{kind:<22}{row['passed']:>8}{row['failed']:>8}{row['skipped']:>9}")
    print(f"{'all':<22}{total['passed']:>8}{total['failed']:>8}{total['skipped']:>9}")
    for reason, count in sorted(skips.items()):
        print(f"skipped {count:>4}  {reason}")
    for failure in failures:
        print(f"FAILED        {failure}")
    if not total["passed"] and not total["failed"]:
        print("no test ran")
    return 1 if failures or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
