# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Broken provider images beside a kernel that binds itself: each is refused with its reason, and the
kernel runs with an image that it carries."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from ci.backends import backends
from ci.build import bound_kernel, rom, tree
from ci.util import ARCHITECTURES
from codegen.vmirom import ROM

from ..fuzz.images import BROKEN, NEWER, Broken, later, seal
from ..guests import Place, Run, places

HARDWARE = {arch: places(arch)[0] for arch in ARCHITECTURES}
"""The first backend, which others build on: its rig takes QEMU's own options."""
MODULES_MAX = 16
"""VMI__MODULES_MAX of runtime/loader.h"""
BATCHES = [BROKEN[start : start + MODULES_MAX] for start in range(0, len(BROKEN), MODULES_MAX)]


@pytest.fixture(params=ARCHITECTURES)
def hardware(request: pytest.FixtureRequest) -> Place:
    return HARDWARE[request.param]


def image_for(place: Place) -> bytes:
    """The image of its own library."""
    return rom(place.backend, place.arch).read_bytes()


def refusals(console: str) -> list[tuple[str, int, str]]:
    """Source, address and reason of each."""
    lines = re.findall(r"^# bind refused (\w+)@0x([0-9a-f]+): (.*?)\r?$", console, re.MULTILINE)
    return [(source, int(address, 16), reason) for source, address, reason in lines]


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: batch[0].name)
def test_broken_modules_are_refused(
    run: Run, hardware: Place, tmp_path: Path, batch: tuple[Broken, ...]
) -> None:
    """As modules, which no firmware looks at first: every way to break an image."""
    image = image_for(hardware)
    paths = []
    for number, broken in enumerate(batch):
        paths.append(tmp_path / f"{number}.rom")
        paths[-1].write_bytes(broken.of(image))
    outcome, report = run(
        hardware, "checks=boot", bound_kernel("sample", hardware.arch),
        options={"qemu": f"-initrd {','.join(map(str, paths))}"},
    )  # fmt: skip
    found = refusals(outcome.console)
    assert [reason for _, _, reason in found] == [broken.reason for broken in batch]
    assert {source for source, _, _ in found} == {"module"}
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert (report.binding["provider"], report.binding["source"]) == (hardware.backend, "builtin")


HEADERS = ("major", "no extension", "extension version")
"""What is refused by an image's header."""


@pytest.mark.parametrize("names", [HEADERS, ("relocations overlap",)], ids=len)
def test_broken_option_roms_are_refused(
    run: Run, hardware: Place, tmp_path: Path, names: tuple[str, ...]
) -> None:
    """In the option ROM area, where firmware puts what has a good checksum and a length that fits. What is
    refused by its header needs no more than a header; beside a whole one the area may have no room."""
    image = image_for(hardware)
    wanted, options = [], []
    for name in names:
        broken = next(broken for broken in BROKEN if broken.name == name)
        content = bytearray(broken.of(image))
        if name in HEADERS:
            del content[ROM["STEP"] :]
            content[ROM["LENGTH"]] = ROM["STEP"] // ROM["UNIT"]
            seal(content)
        path = tmp_path / f"{name.replace(' ', '-')}.rom"
        path.write_bytes(content)
        options.append(f"-option-rom {path}")
        wanted.append(broken.reason)
    outcome, report = run(
        hardware, "checks=boot", bound_kernel("sample", hardware.arch), options={"qemu": " ".join(options)}
    )
    found = refusals(outcome.console)
    assert sorted(reason for _, _, reason in found) == sorted(wanted)
    assert all(
        source == "rom" and ROM["AREA_START"] <= at < ROM["AREA_END"] and at % ROM["STEP"] == 0
        for source, at, _ in found
    )
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert (report.binding["provider"], report.binding["source"]) == (hardware.backend, "builtin")


def test_good_image_among_broken_ones_is_taken(run: Run, hardware: Place, tmp_path: Path) -> None:
    image = image_for(hardware)
    bad, good = tmp_path / "bad.rom", tmp_path / "good.rom"
    bad.write_bytes(BROKEN[-1].of(image))
    good.write_bytes(image)
    outcome, report = run(
        hardware,
        "checks=boot",
        bound_kernel("sample", hardware.arch),
        options={"qemu": f"-initrd {bad},{good}"},
    )
    assert [reason for _, _, reason in refusals(outcome.console)] == [BROKEN[-1].reason]
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.binding["source"].startswith("module@0x")


def test_image_of_the_next_minor_version_is_taken(run: Run, hardware: Place, tmp_path: Path) -> None:
    """A kernel of this version binds itself to it, and is told of the calls that it has itself."""
    image = later(image_for(hardware), NEWER, NEWER + 1)
    # What the library itself says of its calls: the first one is made one that this kernel does not have.
    with (tree(hardware.arch) / "backends" / f"{hardware.backend}-image.elf").open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab")
        described = symbols.get_symbol_by_name("vmi_calls")[0]["st_value"]
    form = {"i386": "<IH", "x86_64": "<QH"}[hardware.arch]
    name, ordinal = struct.unpack_from(form, image, described)
    struct.pack_into(form, image, described, name, NEWER)
    seal(image)
    newer = tmp_path / "newer.rom"
    newer.write_bytes(image)
    outcome, report = run(
        hardware,
        "checks=boot,memory",
        bound_kernel("sample", hardware.arch),
        options={"qemu": f"-initrd {newer}"},
    )
    assert refusals(outcome.console) == []
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.binding["source"].startswith("module@0x")
    told = {call.ordinal for call in report.calls}
    assert len(told) > 50
    assert not told & {ordinal, NEWER}


def test_kernel_none_of_whose_images_is_whole(run: Run, hardware: Place, tmp_path: Path) -> None:
    """Memory went bad, say: the binder itself tells, for no library can."""
    content = bytearray(bound_kernel("sample", hardware.arch).read_bytes())
    for name in backends(arch=hardware.arch):
        image = rom(name, hardware.arch).read_bytes()
        assert content.count(image) == 1
        content[content.find(image) + len(image) - 1] ^= 1
    kernel = tmp_path / "broken-any.elf"
    kernel.write_bytes(content)
    outcome, _ = run(hardware, "checks=boot", kernel)
    assert "vmi: cannot run: the kernel carries no whole provider for this machine" in outcome.console
    assert "0x13 (refused)" in outcome.end


@pytest.mark.parametrize("name", backends())
def test_any_provider_can_be_asked_for(run: Run, hardware: Place, name: str) -> None:
    """Whether or not it is at home: it runs, or the console says why not."""
    outcome, report = run(hardware, f"checks=boot vmi.provider={name}", bound_kernel("sample", hardware.arch))
    if outcome.clean:
        assert report.failures() == []
        assert report.binding["provider"] == name
    else:
        assert "0x13 (refused)" in outcome.end
        assert re.search(r"^vmi: cannot run: \w", outcome.console, re.MULTILINE)
