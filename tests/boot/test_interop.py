# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Images as ROMs of the published API: a client that was written from the published layout alone (interop/)
finds them, binds itself and checks each call."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from ci.build import rom
from ci.util import BUILD

from ..guests import Place, Run, places

CLIENTS = sorted((BUILD / "interop").glob("*.elf"))
PCI, LICENSE, CHECKSUM, MAJOR = 24, 22, 15, 13
"""Offsets in the header."""


def serves(backend: str) -> bool:
    """Whether the image is for clients of the published API too: only then it has a PCI data structure."""
    return bool(struct.unpack_from("<H", rom(backend).read_bytes(), PCI)[0])


OWN = (
    "set_pxe", "set_pxe_long", "flush_tlb", "inval_page", "write_gdt_entry", "write_ldt_entry", "set_cr3",
)  # fmt: skip
"""Sites that stay bare, for all that these calls are on a PC is instructions."""

OPERATIONS = 16
"""Of each kind that are counted together; REPETITIONS of interop/checks_cost.c."""

SERVING = [place for place in places() if place.rig.option_roms and serves(place.backend)]
FIRST = pytest.mark.parametrize("place", SERVING[:1], ids=str)
"""Where the others inherit from."""


def clients(names: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", names, ids=lambda path: path.stem)


@clients(CLIENTS)
@pytest.mark.parametrize(
    ("place", "cpus"),
    [(place, 4) for place in SERVING] + [(SERVING[0], 2)],
    ids=lambda value: f"{value}cpus" if isinstance(value, int) else str(value),
)
def test_every_call_behaves(place: Place, cpus: int, client: Path, run: Run) -> None:
    outcome, report = run(place, f"cpus={cpus}", client, cpus=cpus, option_rom=rom(place.backend))
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.count("skip") == 0
    assert "license=GPL v2" in report.notes["rom_text"][0]
    assert "refused" not in report.notes
    kinds = dict(re.findall(r"^# site (\w+) .* kind=(\d)", outcome.console, re.MULTILINE))
    assert {kinds[name] for name in OWN} == {"0"}, "what such kernels have themselves is left to them"


@clients(CLIENTS)
@pytest.mark.parametrize("place", [place for place in SERVING if place.rig.instruction_counter], ids=str)
def test_what_operations_cost(
    place: Place, client: Path, run: Run, record_property: Callable[[str, object], None]
) -> None:
    """In instructions, against the same kernel without a ROM; exact, as the machine is deterministic."""

    def count(image: Path | None) -> dict[str, int]:
        outcome, report = run(
            place, "cost", client, cpus=1, options=place.rig.instruction_counter, option_rom=image
        )
        assert report.failures() == []
        assert outcome.clean, outcome.end
        return {name: int(number) for line in report.notes["cost"] for name, number in [line.split("=")]}

    bare, bound = count(None), count(rom(place.backend))
    for name in bare:
        record_property(name, f"{bound[name]} with the ROM, {bare[name]} without")
    for name in ("fork", "exec", "mmap", "fault"):
        assert bound[name] <= bare[name] * 1.012, (name, bound[name], bare[name])
    for name in ("set_pte", "set_pte_at", "set_pte_atomic", "set_pmd", "flush"):
        assert bound[name] <= bare[name], (name, bound[name], bare[name])
    # An operation that is nothing is one no-operation without a ROM; with any, a call and a return.
    assert bound["pte_update"] == bare["pte_update"] + OPERATIONS


@clients(CLIENTS)
@FIRST
def test_without_a_rom_it_runs_by_itself(place: Place, client: Path, run: Run) -> None:
    outcome, report = run(place, "cpus=2", client)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.notes["native"] == ["reason=no ROM is fit for use"]
    assert report.count("skip") < report.count("pass")


@clients(CLIENTS[:1])
@FIRST
@pytest.mark.parametrize(
    ("mistake", "offset", "value", "mended"),
    [("license", None, ord("B"), True), ("major version", MAJOR, 2, True), ("checksum", MAJOR, 2, False)],
)
def test_rom_with_a_mistake(
    place: Place, client: Path, mistake: str, offset: int | None, value: int, mended: bool,
    run: Run, tmp_path: Path,
) -> None:  # fmt: skip
    """The client refuses it, says why, and runs by itself. Firmware refuses a wrong checksum already."""
    image = bytearray(rom(place.backend).read_bytes())
    at = struct.unpack_from("<H", image, LICENSE)[0] if offset is None else offset
    if mended:
        image[CHECKSUM] = (image[CHECKSUM] + image[at] - value) & 0xFF
    image[at] = value
    broken = tmp_path / "broken.rom"
    broken.write_bytes(image)
    outcome, report = run(place, "", client, option_rom=broken)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert "native" in report.notes
    refused = report.notes.get("refused", [])
    assert [line.partition(" reason=")[2] for line in refused] == ([mistake] if mended else [])


@clients(CLIENTS[:1])
@FIRST
@pytest.mark.parametrize(("end", "reason"), [("shutdown", "guest-shutdown"), ("reboot", "guest-reset")])
def test_ends_of_the_machine(place: Place, client: Path, end: str, reason: str, run: Run) -> None:
    outcome, report = run(place, f"end={end}", client, option_rom=rom(place.backend))
    assert report.failures() == []
    assert reason in outcome.end
