# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A kernel that binds itself has room for the parts of each image: one without is passed over when the kernel
starts, where there may be no console to say so."""

from __future__ import annotations

import re

import pytest

from ci.backends import backends
from ci.build import tree
from ci.util import ARCHITECTURES, ROOT
from codegen import vmirom

LAYOUT = (ROOT / "runtime/layout.h").read_text()
ROOM = {
    part: int(size, 16)
    for part, size in re.findall(r"^#define VMI__PROVIDER_(TEXT|DATA)_SIZE +(0x\w+)$", LAYOUT, re.MULTILINE)
}


LEFT = int(re.search(r"QEMU leaves (\d+) KiB", (ROOT / "docs/binding.md").read_text())[1]) << 10  # type: ignore[index]
"""For an option ROM, beside those of its firmware."""


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_image_fits_as_an_option_rom(arch: str) -> None:
    for name in backends(arch=arch):
        size = (tree(arch) / f"backends/{name}.rom").stat().st_size
        assert size <= LEFT, f"{name}.rom has {size} bytes, and there is room for {LEFT}"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_room_for_each_image(arch: str) -> None:
    for name in backends(arch=arch):
        said = vmirom.show(tree(arch) / f"backends/{name}.rom")
        text, data = re.search(r"text (\d+), data \d+ of (\d+),", said).groups()  # type: ignore[union-attr]
        assert int(text) <= ROOM["TEXT"] and int(data) <= ROOM["DATA"], name
