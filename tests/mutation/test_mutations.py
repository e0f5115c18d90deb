# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The lists of mutations fit the sources that they break; `python -m tests.mutation` runs them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.rig import Guest, Live, Outcome, Session, discover
from ci.util import ARCHITECTURES, ROOT

from . import devices
from .__main__ import LIST, SHARED, Machine, Mutation, mutations

LISTED = sorted(path.parent.name for path in ROOT.glob(f"backends/*/{LIST}"))


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("backend", LISTED)
def test_every_mutation_changes_one_place(backend: str, arch: str, tmp_path: Path) -> None:
    """And none what the other architecture alone has."""
    chosen = mutations(backend, arch)
    boots = discover(lambda _: None)[backend].configurations[0]
    assert len(chosen) >= 20 or boots.given(arch)[1]
    others = [f"arch/{other}/" for other in ARCHITECTURES if other != arch]
    assert [mutation.name for mutation in chosen if any(other in mutation.file for other in others)] == []
    assert len({mutation.name for mutation in chosen}) == len(chosen)
    for part in SHARED:
        shutil.copytree(ROOT / part, tmp_path / part)
    folder = tmp_path / "backends" / backend
    for mutation in chosen:
        changed = mutation.apply(folder)
        before = ROOT / changed.resolve().relative_to(tmp_path)
        assert changed.read_bytes() != before.read_bytes()
        shutil.copyfile(before, changed)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_mutation_of_drivers_changes_one_place(arch: str, tmp_path: Path) -> None:
    chosen = devices.mutations(arch)
    assert len(chosen) >= 50
    assert len({mutation.name for mutation in chosen}) == len(chosen)
    for folder in ("devices", "runtime"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for mutation in chosen:
        changed = mutation.apply(tmp_path / "devices")
        before = ROOT / changed.resolve().relative_to(tmp_path)
        assert changed.read_bytes() != before.read_bytes()
        shutil.copyfile(before, changed)


def test_mutation_that_fits_nowhere_is_told(tmp_path: Path) -> None:
    from ci.util import UserError

    (tmp_path / "a.c").write_text("int a;\n")
    with pytest.raises(UserError, match="stands 0 times"):
        Mutation("nowhere", file="a.c", old="int b;", new="").apply(tmp_path)


@pytest.mark.parametrize(
    ("end", "console", "spoilt"),
    [
        ("exit status 0x10", "ok 1 a\n", False),
        ("exit status 0x11", "not ok 1 a\n", False),
        ("exit status 0x12 (panic)", "ok 1 a\nPANIC: trap 1 (debug), error code 0x0\n", True),
        ("hung: stopped at its deadline", "ok 1 a\n", True),
    ],
)
def test_no_guest_runs_behind_one_that_was_ended_amid(
    end: str, console: str, spoilt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of those has a rig of its own; others share one."""
    opened: list[str] = []

    class Played(Session):
        def run(self, guest: Guest, live: Live | None = None) -> Outcome:
            return Outcome(guest, console, False, end, "", 1.0, "", Path("log"))

    @contextlib.contextmanager
    def session(logs: Path) -> Iterator[Session]:
        opened.append(logs.name)
        yield Played()

    rig = discover(lambda _: None)[LISTED[0]]
    monkeypatch.setattr(rig, "session", session)
    run = Machine(rig, ARCHITECTURES[0]).runner(Path("guest.elf"))
    for _ in range(3):
        run("")
    assert len(opened) == (3 if spoilt else 1)
