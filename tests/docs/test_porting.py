# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""docs/porting.md, word for word: its commands are run in a copy and say what the page says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from porting_walk import DOCUMENT, copy, walk

from ci.util import UserError


def test_walk_through(tmp_path: Path) -> None:
    copy(tmp_path / "vmi")
    text = DOCUMENT.read_text()
    assert text.count("```console") >= 5
    # tests/docs/porting_walk.py brings the page up to date after a change that is meant.
    assert walk(text, tmp_path / "vmi") == text


@pytest.mark.parametrize(
    ("name", "parent", "hypercall", "said"),
    [
        ("native", "native", "", "is there already"),
        ("Toy", "native", "", "lower-case"),
        ("toy", "nothing", "", "no backend nothing"),
        ("toy", "native", "int:0x100", "--hypercall int:0x100"),
        ("toy", "native", "port:70000", "--hypercall port:70000"),
        ("toy", "native", "syscall", "--hypercall syscall"),
    ],
)
def test_mistakes(name: str, parent: str, hypercall: str, said: str) -> None:
    from ci.porting import new_backend

    with pytest.raises(UserError, match=said) as raised:
        new_backend(name, parent, hypercall)
    assert raised.value.status == 2
    assert "\n" not in str(raised.value)
