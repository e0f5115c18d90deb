# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A kernel with its own entry, linker script and direct map: examples/limine, loaded by Limine's protocol
as its documents describe it, which a loader of the tests plays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.build import kernels, loaded_by_multiboot, tree
from ci.rig import Guest
from ci.util import ROOT

from ..guests import Place, Rigs, Run, places
from .loaders import carry

BUILD = tree("x86_64")
HARDWARE = places("x86_64")[0]
EXAMPLE = ROOT / "examples/limine"
PCS = [place for place in places("x86_64") if place.backend in loaded_by_multiboot()]
"""Limine is a loader of PCs."""


def loaded(library: str, folder: Path) -> Path:
    return carry("limine", kernels("limine", "x86_64")[library], folder)


def places_of(console: str) -> dict[str, int]:
    """Where the loader says that it has put things."""
    line = next(line for line in console.splitlines() if line.startswith("# loader "))
    words = line.split()
    return {"image": int(words[3], 16), "memory": int(words[5], 16), "direct": int(words[8], 16)}


@pytest.mark.parametrize("place", PCS, ids=str)
def test_it_attaches_wherever_it_was_loaded(place: Place, run: Run, tmp_path: Path) -> None:
    """Memory, an alarm, a device, a second CPU; all of it is the example's to check."""
    outcome, _ = run(place, "seed=7", loaded(place.backend, tmp_path), memory_mib=128)
    assert outcome.clean, outcome.end
    assert f"attached by the library for {place.backend}, loaded by a loader of the tests" in outcome.console
    assert "another CPU runs" in outcome.console
    assert "all went well" in outcome.console


@pytest.mark.parametrize(
    ("line", "memory_mib"), [("seed=1", 64), ("seed=123456789", 256), ("seed=77 high", 6144)]
)
def test_bases_differ(line: str, memory_mib: int, run: Run, tmp_path: Path) -> None:
    """Image, memory and direct map are somewhere else each time; at last the image lies above 4 GiB."""
    outcome, _ = run(HARDWARE, line, loaded(HARDWARE.backend, tmp_path), memory_mib=memory_mib)
    assert outcome.clean, outcome.end
    found = places_of(outcome.console)
    assert f"image: 0x{found['image']:016x}" in outcome.console
    assert f"direct map: 0x{found['direct']:016x}" in outcome.console
    assert found["image"] != 0xFFFFFFFF80000000
    assert (found["memory"] >= 1 << 32) == ("high" in line)
    assert found["memory"] % 0x200000 != found["image"] % 0x200000


ROOT_ENTRY = "((uint64_t *)((vmi_get_cr3() & ~0xfffull) + direct_map->offset))"
"""Of a slot, in C, where the facts are filled."""

FIRST = "    facts.linear_base = "
IMAGE, MEMORY = "facts.image = address->linear;", "facts.image_base = address->physical;"
SIZE = "facts.image_size = (uintptr_t)(image_end - image_start);"
KIND = "ranges[i].kind = kind_of(range->kind);"

WRONG = {
    "magic": (".magic = VMI_ATTACH_MAGIC", ".magic = 1", "facts.magic is not VMI_ATTACH_MAGIC"),
    "version": (".version = VMI_ATTACH_VERSION", ".version = 2", "of another version of the library"),
    "size": (".size = sizeof(facts)", ".size = 8", "of another version of the library"),
    "direct map": ("= direct_map->offset;", "= direct_map->offset + 8;", "not on a page of the upper half"),
    "lower half": (IMAGE, "facts.image = 0x100000;", "not on a page of the upper half"),
    "image": (IMAGE, IMAGE.replace(";", " + 0x10000000;"), "the library is not in the image at facts.image"),
    "image's memory": (MEMORY, MEMORY.replace(";", " + 4096;"), "that is not mapped to"),
    "no such memory": (MEMORY, "facts.image_base = 1ull << 52;", "image_size or image_base cannot be right"),
    "no size": (SIZE, "facts.image_size = 0;", "image_size or image_base cannot be right"),
    "too large": (SIZE, "facts.image_size = ~0ull;", "image_size or image_base cannot be right"),
    "no map": ("facts.memory_count++;", ";", "facts.memory has no range"),
    "faulty image": (KIND, f"{KIND} if (range->kind == LIMINE_IMAGE) ranges[i].kind = VMI_MEMORY_UNUSABLE;",
                     "the memory that the kernel is in"),
    "map that wraps": ("ranges[i].size = range->size;", "ranges[i].size = i ? range->size : ~0ull;",
                       "wraps around the end of memory"),
    "slot in use": (FIRST, f"    {ROOT_ENTRY}[510] = 1;\n{FIRST}",
                    "root slot 510, which is for devices, is in use"),
    "last GiB in use": (FIRST, f"    uint64_t last = {ROOT_ENTRY}[511] & 0xffffffffff000;\n"
                        f"    ((uint64_t *)(last + direct_map->offset))[511] = 1;\n{FIRST}",
                        "the last GiB of linear space"),
}  # fmt: skip
"""What of the example becomes what, and what is said then."""


@pytest.mark.parametrize("name", WRONG)
def test_wrong_facts_are_refused_with_the_reason(name: str, run: Run, rigs: Rigs, tmp_path: Path) -> None:
    old, new, reason = WRONG[name]
    text = (EXAMPLE / "kernel.c").read_text()
    assert old in text
    (tmp_path / "kernel.c").write_text(text.replace(old, new, 1))
    kernel = tmp_path / "kernel.elf"
    subprocess.run(
        ["gcc", "-m64", "-O2", "-fPIE", "-pie", "-ffreestanding", "-mno-red-zone", "-mgeneral-regs-only",
         "-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-nostdlib",
         f"-I{BUILD}/include", f"-I{EXAMPLE}", f"-Wl,-T,{EXAMPLE}/limine.ld", "-Wl,--no-dynamic-linker",
         "-Wl,-z,text", "-Wl,-z,noexecstack", "-Wl,--build-id=none", "-o", kernel, tmp_path / "kernel.c",
         EXAMPLE / "entry.S", EXAMPLE / "interrupts.c", BUILD / f"backends/libvmi-{HARDWARE.backend}.a"],
        check=True,
    )  # fmt: skip
    kernel = carry("limine", kernel, tmp_path)
    # By what status is said on the command line, which another version of the facts may have elsewhere: then
    # the machine stands still when it has said why, and is stopped at that.
    if name in ("magic", "version"):
        guest = Guest(kernel, name, "seed=9", deadline=240.0)
        outcome = rigs.session(HARDWARE).run(guest, lambda line: reason in line)
        assert "stopped" in outcome.end, outcome.end
    else:
        outcome, _ = run(HARDWARE, "seed=9", kernel, cpus=1)
        assert "refused" in outcome.end, outcome.end
    assert "vmi: cannot run: " in outcome.console
    assert reason in outcome.console
