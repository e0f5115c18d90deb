# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The fuzz targets: what they are made of, what they begin with, how they are run and what they covered."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ci.build import tree
from ci.util import ARCHITECTURES, ROOT, UserError, tied

from ..runtime import test_boot_structures as structures
from .host import CODE, RECORD, SITES, Site
from .images import BROKEN, JUMP, NONE, NOP, Call, for_machine, seal, sign, synthetic

HERE = Path(__file__).resolve().parent
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Wmissing-prototypes", "-Wstrict-prototypes",
         "-Werror"]  # fmt: skip
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
COVERAGE = ["-fsanitize=fuzzer", "-fprofile-instr-generate", "-fcoverage-mapping"]

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


DRIVERS = (
    "../devices/pci/device.c",
    "../devices/pci/pci.c",
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


def runtime(name: str) -> Path:
    """A source by its name from runtime/ on."""
    return (ROOT / "runtime" / name).resolve()


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


def lives() -> Iterator[bytes]:
    for life in LIVES:
        yield bytes.fromhex(life)


@dataclass(frozen=True)
class Target:
    """One program, and what it is about."""

    name: str
    main: str
    """MAIN_target.c."""
    sources: tuple[str, ...]
    """Besides that, in runtime/ or from there on."""
    about: tuple[str, ...]
    """Files of runtime/ whose coverage counts."""
    seeds: Callable[[], Iterator[bytes]]
    longest: int
    """Bytes of an input."""
    runs: int
    """Of a bounded run: seconds, not minutes."""
    arch: str
    """Whose headers it has, and for whom it binds: the build machine's own, or i386 with what only that has
    taken out (host/)."""

    def build(self, folder: Path, how: list[str]) -> Path:
        program = folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        sources = [HERE / f"{self.main}_target.c", *map(runtime, self.sources)]
        shim = [f"-I{HERE / 'host'}", "-DVMI__BIND_I386"] if self.arch == "i386" else []
        command = ["clang", *FLAGS, "-DVMI_ALLOW_SSE", *how, *shim,
                   f"-isystem{tree(self.arch) / 'include'}",
                   f"-I{ROOT / 'runtime'}", f"-I{ROOT / 'devices'}", f"-I{HERE}", "-o", str(program),
                   *map(str, sources)]  # fmt: skip
        if not shutil.which(command[0]):
            raise UserError(f"{command[0]}: not found; ./vmi setup installs it")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"fuzz target {self.name} is not built:\n{done.stderr}")
        return program

    def plant(self, corpus: Path) -> Path:
        """Writes the seeds."""
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(self.seeds()):
            (corpus / f"seed-{number:03}").write_bytes(seed)
        return corpus


TARGETS = (
    *(
        Target(
            f"rom-{arch}",
            "rom",
            ("bind/rom.c", "bind/sites.c"),
            ("bind/rom.c", "bind/sites.c"),
            partial(images, arch),
            8192,
            150_000,
            arch,
        )
        for arch in ARCHITECTURES
    ),
    Target(
        "loader",
        "loader",
        ("multiboot.c", "multiboot2.c", "protocols.c", "pvh.c", "options.c"),
        ("loader.c", "memory_map.c", "multiboot.c", "multiboot2.c", "protocols.c", "options.c", "pvh.c"),
        memories,
        12288,
        60_000,
        "x86_64",
    ),
    Target(
        "virtio",
        "virtio",
        ("arch/x86_64/image_place.c", *DRIVERS),
        ("../devices/interface.c", *DRIVERS),
        lives,
        512,
        60_000,
        "x86_64",
    ),
)


@dataclass(frozen=True)
class Result:
    executions: int
    seconds: int
    units: int
    """Inputs of the corpus in the end."""
    finds: list[Path]
    """Inputs at which something did not hold."""
    log: str


def run(program: Path, corpus: Path, finds: Path, *options: str) -> Result:
    """Runs a target until it has found something or an option ends it; what is new goes into the corpus."""
    finds.mkdir(parents=True, exist_ok=True)
    command = [str(program), f"-artifact_prefix={finds}/", "-print_final_stats=1", "-timeout=20",
               *options, str(corpus)]  # fmt: skip
    # Nothing is allocated but by the targets, who free it; looking for leaks needs ptrace.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=environment, check=False,
        preexec_fn=tied(),
    )  # fmt: skip
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    seconds = re.search(r"Done \d+ runs in (\d+) second", done.stderr)
    found = sorted(finds.iterdir())
    if done.returncode and not found:
        raise UserError(f"{program.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return Result(
        int(executed[1]) if executed else 0,
        int(seconds[1]) if seconds else 0,
        sum(1 for _ in corpus.iterdir()),
        found,
        done.stderr,
    )


def coverage(target: Target, corpus: Path, folder: Path) -> tuple[dict[str, dict[str, str]], str]:
    """What the corpus reaches, by file: of its functions, lines and branches; and which lines it does not."""
    program = target.build(folder, COVERAGE)
    raw, merged = folder / f"{target.name}.profraw", folder / f"{target.name}.profdata"
    subprocess.run([program, "-runs=0", corpus], check=True, capture_output=True,
                   env={**os.environ, "LLVM_PROFILE_FILE": str(raw)})  # fmt: skip
    subprocess.run(["llvm-profdata", "merge", "-o", merged, raw], check=True, capture_output=True)
    sources = [str(runtime(name)) for name in target.about]
    common = [str(program), f"-instr-profile={merged}", *sources]
    exported = subprocess.run(
        ["llvm-cov", "export", "-summary-only", *common], check=True, capture_output=True, text=True
    ).stdout
    shown = subprocess.run(["llvm-cov", "show", *common], check=True, capture_output=True, text=True).stdout
    table = {}
    for file in json.loads(exported)["data"][0]["files"]:
        table[str(Path(file["filename"]).relative_to(ROOT))] = {
            kind: f"{file['summary'][kind]['covered']}/{file['summary'][kind]['count']}"
            for kind in ("functions", "lines", "branches")
        }
    missed, name = [], ""
    for line in shown.splitlines():
        if line.startswith("/"):
            name = str(Path(line.rstrip(":")).relative_to(ROOT))
        elif match := re.match(r"\s*(\d+)\|\s*0\|(.*)", line):
            missed.append(f"{name}:{match[1]}:{match[2]}")
    return table, "\n".join(missed)
