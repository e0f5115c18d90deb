# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Records of what ran where."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from ci.machines import Boot, forget, judge, read, record, verdict

PASSED = "KTAP version 1\n1..2\nok 1 a\nok 2 b # SKIP none here\n# result pass=1 fail=0 skip=1\n"
FAILED = "KTAP version 1\n1..1\nnot ok 1 a # b.c:7: x\n# result pass=0 fail=1 skip=0\n"
NONE = "KTAP version 1\n1..1\nok 1 a # SKIP not asked for\n# result pass=0 fail=0 skip=1\n"
REFUSED = "SeaBIOS\r\nvmi: cannot run: the processor has no PAE; halted\r\n"


def exit_status(value: int) -> int:
    return value << 1 | 1


def boot(cpu: str = "qemu64", verdict: str = "runs", words: str = "1 checks", tier: str = "ordinary") -> Boot:
    return Boot("pc", cpu, "SeaBIOS", "x86_64", verdict, words, "QEMU", tier=tier)


@pytest.mark.parametrize(
    ("console", "status", "wanted"),
    [
        (PASSED, 0x10, ("runs", "1 checks, 1 skipped")),
        (REFUSED, 0x13, ("refuses", "the processor has no PAE")),
        (FAILED, 0x11, ("fails", "ended with fail; not ok 1 a: b.c:7: x")),
        (PASSED, 0x12, ("fails", "ended with panic; ")),  # the console alone proves nothing
        (PASSED.replace("ok 2", "x"), 0x10, ("fails", "ended with pass; 1 of 2 planned tests reported")),
        (NONE, 0x10, ("fails", "ended with pass; no check was made")),
        ("SeaBIOS\nBooting\n", 0x12, ("fails", "ended with panic; Booting")),
        ("", 0x13, ("fails", "ended with refused; and said nothing")),
    ],
)
def test_verdict_needs_console_and_end(console: str, status: int, wanted: tuple[str, str]) -> None:
    found = judge(console, exit_status(status))
    assert found[0] == wanted[0] and found[1].startswith(wanted[1]), found


def test_end_that_is_none() -> None:
    for status in (None, 0, exit_status(0x55)):
        assert judge(PASSED, status)[0] == "fails"
    assert verdict(REFUSED, "")[0] == "fails"


def test_machine_without_a_console() -> None:
    assert judge("", exit_status(0x10), silent=True)[0] == "runs"
    assert judge("", exit_status(0x13), silent=True)[0] == "refuses"
    assert judge("", exit_status(0x12), silent=True)[0] == "fails"


def test_newest_boot_of_a_cell_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "machines.json"
    for each in (boot(), boot("max"), boot(verdict="fails", words="hung")):
        record(each, path)
    kept = read(json.loads(path.read_text()))
    assert [(each.cpu, each.verdict) for each in kept] == [("max", "runs"), ("qemu64", "fails")]


def test_whole_run_forgets_its_own_tier_only(tmp_path: Path) -> None:
    path = tmp_path / "machines.json"
    forget("ordinary", path)
    assert not path.exists()
    for each in (boot(), boot("max", tier="long")):
        record(each, path)
    forget("ordinary", path)
    assert [each.cpu for each in read(json.loads(path.read_text()))] == ["max"]


def test_damaged_document_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "machines.json"
    for damage in ("", "[]", '{"schema": 0}', '{"schema": 1, "boots": [{"cpu": 1}]}'):
        path.write_text(damage)
        record(boot(), path)
        assert len(read(json.loads(path.read_text()))) == 1


def test_what_no_record_can_say() -> None:
    with pytest.raises(ValueError, match="expected one of runs, refuses"):
        boot(verdict="perhaps")
    with pytest.raises(ValueError, match="expected one of ordinary, long"):
        boot(tier="other")


def _record(number: int, path: Path) -> None:
    record(boot(f"cpu{number}"), path)


def test_workers_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "machines.json"
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(_record, range(40), [path] * 40))
    assert len(read(json.loads(path.read_text()))) == 40
