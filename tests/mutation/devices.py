# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Breaks drivers on purpose, one way at a time, and counts how many ways are noticed:

    .venv/bin/python -m tests.mutation.devices [--arch ARCH] [--only TEXT]…

What is broken is listed in devices/mutations.yaml, as in those of backends; files are named from devices/ on.
Each mutation is caught by

1. tests on the build machine, where devices that lie are played; or
2. the sample kernel, with devices in a plain PC: by messages, by lines, and by as few features as can be.

Exit status 1 if fewer than 95 % are caught on an architecture.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci import checked, ktap
from ci.rig import Guest, Rig, Session, discover
from ci.util import ARCHITECTURES, RESULTS, ROOT, UserError, progress

from ..backends import played
from .__main__ import (
    LEAST,
    LIST,
    REFUSED,
    Broken,
    Mutation,
    build,
    copy,
    folder_of,
    listed,
    percent,
    set_up,
    summary,
)

BY = ("tests on the build machine", "sample kernel")
PCI = ("pci/device.c", "pci/pci.c")
VIRTIO = (*PCI, "virtio/device.c", "virtio/virtio.c", "virtio/virtio_pci.c")
PLAYED = {
    "tests/devices/ahci.c": (*PCI, "ahci/ahci.c"),
    "tests/devices/nvme.c": (*PCI, "nvme/nvme.c"),
    "tests/devices/virtio_blk.c": (*VIRTIO, "virtio_blk/virtio_blk.c"),
    "tests/devices/virtio_mmio.c": (
        *VIRTIO,
        "virtio/virtio_mmio.c",
        "pci/registers.c",
        "virtio_blk/virtio_blk.c",
        "virtio_rng/virtio_rng.c",
        "virtio_mmio/virtio_mmio.c",
        "../runtime/options.c",
    ),
    "tests/devices/virtio_net.c": (*VIRTIO, "virtio_net/virtio_net.c"),
    "tests/devices/virtio_rng.c": (*VIRTIO, "virtio_rng/virtio_rng.c"),
    "tests/devices/virtio_balloon.c": (*VIRTIO, "virtio_balloon/virtio_balloon.c"),
    "tests/devices/e1000.c": (*PCI, "bounce/bounce.c", "e1000/e1000.c"),
    "tests/runtime/generator.c": (),
}
"""Programs of checks, each with the drivers' files that it is built with."""
SECONDS = 30.0
"""Of such a program, which takes less than one."""
BACKEND = "native"
"""Whose rig is a plain PC."""
DEADLINE = 60.0
CPUS = {"i386": "qemu32", "x86_64": "qemu64"}

MACHINES: tuple[dict[str, str], ...] = (
    {},
    {
        "disk": "virtio-blk-pci,vectors=0",
        "net": "virtio-net-pci,vectors=0",
        "rng": "virtio-rng-pci,vectors=0",
        "cpu": ",+rdrand",
    },
    {
        "disk": "virtio-blk-pci-non-transitional,indirect_desc=off,event_idx=off,num-queues=1,discard=off",
        "net": "virtio-net-pci-non-transitional,indirect_desc=off,event_idx=off,status=off",
        "rng": "virtio-rng-pci-non-transitional,event_idx=off",
    },
    {"net": "e1000"},
    {"net": "e1000e"},
)
"""Options of the guests that follow each other; what the processor has beyond its model."""


def mutations(arch: str) -> list[Mutation]:
    """Those that are of an architecture."""
    return listed(ROOT / "devices" / LIST, arch)


def caught_by_tests(tree: Path, arch: str) -> str:
    """The first of the checks on the build machine that notices, with its line; empty if none does."""
    for source, drivers in PLAYED.items():
        files = [tree / "devices" / name for name in drivers]
        try:
            done = played.results(
                tree / source,
                tree.parent,
                f"-I{tree / 'devices'}",
                *files,
                arch=arch,
                root=tree,
                seconds=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"{source}: does not end"
        except AssertionError as error:  # what ends the process
            return f"{source}: {str(error).splitlines()[0]}"
        if failed := [f"{source}: {check}, {line}" for check, line in done.items() if line]:
            return failed[0]
    return ""


def caught_by_kernel(rig: Rig, session: Session, kernel: Path, arch: str, folder: Path) -> str:
    """What the sample kernel notices, or is wrong on its disk afterwards; empty if nothing is."""
    for number, more in enumerate(MACHINES):
        options = {**more, "cpu": CPUS[arch] + more.get("cpu", "")}
        bare = Guest(kernel, f"mutation-{arch}-{number}", cpus=2, deadline=DEADLINE, options=options)
        guest = checked.with_devices(bare, rig, folder / "disk")
        checked.blank(guest.disks)
        outcome = session.run(guest)
        report = ktap.parse(outcome.console)
        found = [*report.failures(), *checked.findings(guest, report)]
        if found or not outcome.clean:
            return f"machine {number}: {found[0] if found else outcome.end}"
    return ""


def break_in_all_ways(rig: Rig, chosen: Sequence[Mutation], arch: str) -> Iterator[Broken]:
    """What becomes of mutations, one by one."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vmi-mutation-")))
        tree, target = folder / "vmi", f"sample_kernel/sample-{BACKEND}.elf"
        copy(tree)
        for each in dict.fromkeys((ARCHITECTURES[0], arch)):
            set_up(tree, BACKEND, each)
        kernel = folder_of(tree, arch) / target
        session = stack.enter_context(rig.session(RESULTS / "mutation" / f"devices-{arch}"))

        def found_in() -> tuple[str, str]:
            try:
                if found := caught_by_tests(tree, arch):
                    return BY[0], found
            except subprocess.CalledProcessError:
                return REFUSED, ""
            if build(tree, target, arch):
                return REFUSED, ""
            found = caught_by_kernel(rig, session, kernel, arch, folder)
            return BY[1] if found else "", found

        by, found = found_in()
        if by:
            raise UserError(f"the unbroken drivers do not pass: {by}: {found}")
        for mutation in chosen:
            changed = mutation.apply(tree / "devices")
            yield Broken(mutation, *found_in())
            changed.write_bytes((ROOT / changed.resolve().relative_to(tree.resolve())).read_bytes())


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.devices")
    parser.add_argument("--arch", choices=ARCHITECTURES)
    parser.add_argument("--only", action="append", metavar="TEXT")
    options = parser.parse_args(arguments)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    rig = discover(progress)[BACKEND]
    rig.prepare()
    results: dict[str, Counter[str]] = {}
    for arch in [options.arch] if options.arch else ARCHITECTURES:
        counts = results[f"devices on {arch}"] = Counter()
        chosen = [
            mutation
            for mutation in mutations(arch)
            if any(text in mutation.name for text in options.only or [""])
        ]
        with contextlib.closing(break_in_all_ways(rig, chosen, arch)) as broken:
            for each in broken:
                print(each, flush=True)
                counts[each.by] += 1
    for library, counts in results.items():
        print(summary(library, counts, BY))
    return 0 if all(percent(counts) >= LEAST for counts in results.values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"mutation: {error}", file=sys.stderr)
        sys.exit(error.status)
