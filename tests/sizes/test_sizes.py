# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Lines are counted for whom they are."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from ci.util import ARCHITECTURES, ROOT

from .__main__ import SHARED, of_file, sizes, table

CODE = """\
int all;

#ifdef __x86_64__
int wide;
#if OTHER
int wide_too;
#endif
#else
int narrow;
#endif
#ifndef __i386__
int wide_again;
#endif
#if OTHER
int all_again;
#endif
"""
YAML = """\
calls:
  - name: One
    architectures: [x86_64]
    registers: {i386: [eax], x86_64: [rdi]}
  x86_64:
    both: i386

    more: 1
  last: {i386: 1}
"""


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("a/b.c", CODE, {SHARED: 4, "x86_64": 8, "i386": 3}),
        ("a/b.yaml", YAML, {SHARED: 3, "x86_64": 4, "i386": 1}),
        ("a/arch/x86_64/b.c", CODE, {"x86_64": 15}),
        ("codegen/vmigen/i386.py", "a\n\nb\n", {"i386": 2}),
    ],
)
def test_lines_of_a_file(name: str, text: str, expected: dict[str, int]) -> None:
    assert of_file(PurePosixPath(name), text) == expected


def test_the_tree() -> None:
    found = sizes()
    assert {"spec", "codegen", "runtime", "sample_kernel", "conformance"} <= {folder for folder, _ in found}
    for folder in ("runtime", "sample_kernel"):
        own = (ROOT / folder / "arch").rglob("*.c")
        least = sum(len([line for line in path.read_text().splitlines() if line]) for path in own)
        assert sum(found[folder, "C"][arch] for arch in ARCHITECTURES) >= least
    assert table().count("\n") > len(found)
