#!/usr/bin/env python3
"""Writes src/text/unicode_tables.cpp: the letters, numbers and spaces that Hugging Face tokenizers see.

The classes are asked from the `tokenizers` package itself (its regular expressions carry a Unicode version of
their own), so that words are split exactly as there. Run from the repository root after an upgrade:

    python tools/golden/make_unicode_tables.py
"""
import pathlib

import tokenizers
from tokenizers import Regex, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CHUNK = 4096
PER_LINE = 4


def members(pattern):
    """The code points that match `pattern`, found by removing them from a text that holds every one."""
    remover = pre_tokenizers.Split(Regex(pattern), "removed")
    found = set()
    for i in range(0, len(CODE_POINTS), CHUNK):
        chunk = CODE_POINTS[i : i + CHUNK]
        kept = {ord(c) for piece, _ in remover.pre_tokenize_str("".join(map(chr, chunk))) for c in piece}
        found.update(c for c in chunk if c not in kept)
    return found


def main():
    ranges = []
    for name, pattern in (("kLetter", r"\p{L}"), ("kNumber", r"\p{N}"), ("kSpace", r"\s")):
        for c in sorted(members(pattern)):
            if ranges and ranges[-1][2] == name and ranges[-1][1] == c - 1:
                ranges[-1][1] = c
            else:
                ranges.append([c, c, name])
    ranges.sort()
    short = {"kLetter": "L", "kNumber": "N", "kSpace": "S"}
    entries = [f"{{{first:#x}, {last:#x}, {short[name]}}}," for first, last, name in ranges]
    lines = ["    " + " ".join(entries[i : i + PER_LINE]) for i in range(0, len(entries), PER_LINE)]
    text = f"""// Made by tools/golden/make_unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit.
// Ranges of letters, numbers and white space in rising order; every other code point belongs to no class.
#include "text/unicode.h"

namespace capstan::text {{
namespace {{

constexpr CharClass L = CharClass::kLetter, N = CharClass::kNumber, S = CharClass::kSpace;
// clang-format off
constexpr CharRange kRanges[] = {{
{chr(10).join(lines)}
}};
// clang-format on

}}  // namespace

std::span<const CharRange> char_ranges() {{ return kRanges; }}

}}  // namespace capstan::text
"""
    pathlib.Path("src/text/unicode_tables.cpp").write_text(text, encoding="ascii")
    print(len(entries), "ranges,", text.count("\n"), "lines,", max(map(len, text.splitlines())), "columns")


if __name__ == "__main__":
    main()
