# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The fuzz targets: what they are made of and what they begin with.

Those of backends are discovered: `backends/NAME/tests/fuzz.py` has a tuple TARGETS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ci.long import module_at
from ci.util import ARCHITECTURES, ROOT

from ..runtime import test_boot_structures as structures
from .host import CODE, RECORD, SITES, Site
from .images import BROKEN, JUMP, NONE, NOP, Call, for_machine, seal, sign, synthetic
from .program import HERE, PCI, UNTRACED, Target, device, disks, lives, networks

INTERFACE = (
    Call(0, NONE, bytes.fromhex("0fa2")),  # cpuid
    Call(1),
    Call(2, NOP),
    Call(3, JUMP),
    Call(17, NONE, bytes.fromhex("0f22d8")),  # mov %eax, %cr3
    Call(40, NONE, bytes.fromhex("cf")),  # iret
    Call(128),
    Call(129, NONE, bytes.fromhex("0f001564b8000000650f01f8")),  # longer than a call
)
"""Calls of the interface that rom_target.c plays, in each way that a call can be done."""

IMAGES = 100_000_000
"""Executions of the long tests with images, over all architectures."""

DRIVERS = (
    *PCI,
    "../devices/virtio/device.c",
    "../devices/virtio/virtio.c",
    "../devices/virtio/virtio_pci.c",
    "../devices/virtio_blk/virtio_blk.c",
    "../devices/virtio_rng/virtio_rng.c",
)


def sites(*records: tuple[int, int, int, int], arch: str) -> bytes:
    """Call sites: offset in the code, ordinal, length, and 1 for a jump."""
    size = RECORD[arch]
    return b"".join(
        Site(CODE + offset, *rest).record(arch, SITES + size * number)
        for number, (offset, *rest) in enumerate(records)
    )


def images(arch: str) -> Iterator[bytes]:
    for image in images_with_sites(partial(sites, arch=arch)):
        yield for_machine(image, arch)


def images_with_sites(sites: Callable[..., bytes]) -> Iterator[bytes]:
    plain = synthetic(INTERFACE)
    yield plain
    yield synthetic(INTERFACE[:3], memory=0x20000)
    for length in (31, 32, 200):
        yield synthetic(INTERFACE, name=b"x" * length, data=b"", memory=8)
    for first in (b"\x26", b"\x65", b"\xeb", b"\xff", b"\x74"):  # what takes no prefix
        yield synthetic((Call(0, NONE, first + b"\0"), *INTERFACE[1:])) + sites((0, 0, 5, 0))
    for length in range(5, 16):
        yield plain + sites(
            *((32 * index, call.ordinal, length, call.kind == JUMP) for index, call in enumerate(INTERFACE))
        )
    yield plain + sites((0, 0, 5, 0), (0, 0, 5, 0))
    yield plain + sites((0, 1, 15, 0), (5, 2, 5, 0))
    yield plain + sites((0, 1, 5, 0), (2, 1, 5, 0))
    yield plain + sites((507, 17, 5, 0), (508, 17, 5, 0))
    yield plain + sites((0, 16, 5, 0))
    # What the processor that rom_target.c plays has in leaf 0x40000400, and what it has in none.
    for values in ((0, 0x40000401, 0x40000402, 0x40000403), (0, 0x40000401, 0x40000402, 0)):
        image = bytearray(plain)
        sign(0x40000100, 256, 0xE, values)(image)
        seal(image)
        yield bytes(image)
    for broken in BROKEN:
        yield broken.of(plain)


def memories() -> Iterator[bytes]:
    mib = structures.MIB
    for modules in ([], [(2 * mib, 2 * mib + 5, structures.TEXT + 7)]):
        yield structures.multiboot(modules=modules).encode()
    kinds = [(3 * mib + kind * 0x1800, 0x2000, kind) for kind in range(20)]
    yield structures.multiboot([*structures.MAP_OF_A_PC, *kinds]).encode()
    yield structures.multiboot([*structures.MAP_OF_A_PC, *structures.in_holes(300)]).encode()
    yield structures.pvh(modules=[(3 * mib + 1, 4096, 0)]).encode()
    yield structures.pvh([*structures.MAP_OF_A_PC, *structures.in_holes(200)]).encode()
    for memory, _ in structures.REFUSALS.values():
        yield memory.encode()


LIVES = (
    # the device, how large its queue is, sectors, no scribbles, then steps (virtio_target.c)
    "ff 07 e803 00 0b 00 07 03 00 00 00 03 00 08 01 08 02 10 08 02 00 02 00 08 40 0c 00",
    "03 07 e803 00 0b 01 0f 03 00 00 01 07 81 0300 08 01 08 03 03 02 00 02 00 08 f0 "
    "00 00 00 00 00 01 08 0c 00",
    "00 05 e803 00 0b 00 03 01 00 00 00 02 10 04 11 04 02 00 05 03 0700 0102 08 f0 0c 00",
    "00 06 e803 00 0b 00 03 01 00 00 00 00 00 01 02 00 05 00 00 0102 06 00 ff00 08 f0 0c 00",
    "82 04 e803 00 1b 00 07 00 12 00 12 00 12 00 0a 01 4000 "
    "0a 08 e803 1f 01 12 00 15 00 00 0000 0a 01 ff0f 0c 01",
    "02 04 e803 00 1b 00 0f 00 12 00 0a 01 0300 12 00 15 02 0500 ffff "
    "0a 01 ff0f 1f 00 07 1000 ff 0c 01 0a 01 0100",
    "7f 08 0001 07 0102 0304 0506 0b 01 0f 03 0d 1234 ff 0e 20 01 00 00 01 00 00 01 02 02 00 08 f0 0c 00",
)

TARGETS = (
    *(
        Target(
            f"rom-{arch}",
            HERE / "rom_target.c",
            ("bind/rom.c", "bind/sites.c"),
            ("bind/rom.c", "bind/sites.c"),
            partial(images, arch),
            8192,
            150_000,
            arch,
            long_runs=IMAGES // len(ARCHITECTURES),
        )
        for arch in ARCHITECTURES
    ),
    Target(
        "loader",
        HERE / "loader_target.c",
        ("multiboot.c", "multiboot2.c", "protocols.c", "pvh.c", "options.c"),
        ("loader.c", "memory_map.c", "multiboot.c", "multiboot2.c", "protocols.c", "options.c", "pvh.c"),
        memories,
        12288,
        60_000,
        "x86_64",
    ),
    Target(
        "virtio",
        HERE / "virtio_target.c",
        ("arch/x86_64/image_place.c", "memory_map.c", *DRIVERS),
        ("../devices/interface.c", *DRIVERS),
        lives(*LIVES),
        512,
        60_000,
        "x86_64",
        UNTRACED,
    ),
    device(
        "nvme", HERE / "nvme_target.c", ("../devices/nvme/nvme.c", *PCI), lives(*disks("00"), *disks("01"))
    ),
    device("ahci", HERE / "ahci_target.c", ("../devices/ahci/ahci.c", *PCI), lives(*disks("00"))),
    device(
        "e1000",
        HERE / "e1000_target.c",
        ("../devices/e1000/e1000.c", "../devices/bounce/bounce.c", *PCI),
        lives(*networks("00 00"), *networks("01 05")),
    ),
    *(target for path in sorted(ROOT.glob("backends/*/tests/fuzz.py")) for target in module_at(path).TARGETS),
)
