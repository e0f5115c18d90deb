# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The lists of mutations fit the sources that they break; `python -m tests.mutation` runs them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ci.util import ROOT

from .__main__ import LIST, Mutation, mutations

LISTED = sorted(path.parent.name for path in ROOT.glob(f"backends/*/{LIST}"))


@pytest.mark.parametrize("backend", LISTED)
def test_every_mutation_changes_one_place(backend: str, tmp_path: Path) -> None:
    chosen = mutations(backend)
    assert len(chosen) >= 20
    assert len({mutation.name for mutation in chosen}) == len(chosen)
    for number, mutation in enumerate(chosen):
        folder = tmp_path / str(number)
        shutil.copytree(ROOT / "backends" / backend, folder)
        changed = mutation.apply(folder)
        before = ROOT / "backends" / backend / changed.relative_to(folder)
        assert changed.read_bytes() != before.read_bytes()


def test_mutation_that_fits_nowhere_is_told(tmp_path: Path) -> None:
    from ci.util import UserError

    (tmp_path / "a.c").write_text("int a;\n")
    with pytest.raises(UserError, match="stands 0 times"):
        Mutation("nowhere", file="a.c", old="int b;", new="").apply(tmp_path)
