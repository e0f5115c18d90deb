# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Disks: what the sample kernel has written is in the file, by messages and by lines; a kernel that makes no
call for devices is linked with none of their drivers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.build import kernels, tree
from ci.checked import BLANK, BLOCKS, other_blocks
from ci.rig import Disk, Guest
from ci.run import disk
from ci.util import ARCHITECTURES, UserError

from ..guests import places

LARGE = "logical_block_size=4096,physical_block_size=4096"
DEVICES = {
    "message": ("virtio-blk-pci", 512),
    "line": ("virtio-blk-pci,vectors=0", 512),
    "modern": (f"virtio-blk-pci-non-transitional,{LARGE}", 4096),
    "plain": ("virtio-blk-pci,indirect_desc=off,event_idx=off,num-queues=1,discard=off", 512),
    "nvme": ("nvme", 512),
    "nvme-line": (f"nvme,serial=line,msix_qsize=1,{LARGE}", 4096),
    "ahci": ("ahci", 512),
}
"""QEMU's device with properties, or `Disk.device`; and bytes of a block."""


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_pattern_is_in_the_file(tmp_path: Path, arch: str, device: str) -> None:
    """Whole disk, in a plain PC."""
    place = next(place for place in places(arch) if place.backend == "native")
    name, size = DEVICES[device]
    given = name in place.rig.disk_devices
    file = tmp_path / "disk"
    file.write_bytes(BLANK * (BLOCKS * size))
    guest = Guest(
        kernels("sample", arch)["native"], f"disks-{arch}-{device}", "checks=disks. handlers=let_in", cpus=2,
        deadline=60.0,
        options={} if given else {"disk": name}, disks=[Disk(file, device=name if given else "")],
    )  # fmt: skip
    with place.rig.session(tmp_path / "logs") as session:
        outcome = session.run(guest)
    assert outcome.clean, outcome.console[-3000:]
    assert "disks.whole # SKIP" not in outcome.console
    assert "disks.by_event # SKIP" not in outcome.console
    assert "disks.let_in_by_handler # SKIP" not in outcome.console
    assert other_blocks(file.read_bytes(), size) == []


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_read_only_file_stays(tmp_path: Path, arch: str) -> None:
    place = next(place for place in places(arch) if place.backend == "native")
    file = tmp_path / "disk"
    file.write_bytes(BLANK * (BLOCKS * 512))
    guest = Guest(
        kernels("sample", arch)["native"], f"disks-{arch}-ro", "checks=disks.", deadline=60.0,
        disks=[Disk(file, read_only=True)],
    )  # fmt: skip
    with place.rig.session(tmp_path / "logs") as session:
        outcome = session.run(guest)
    assert outcome.clean, outcome.console[-3000:]
    assert "disks.read_only # SKIP" not in outcome.console
    assert file.read_bytes() == BLANK * (BLOCKS * 512)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_driver_without_calls(arch: str) -> None:
    """By the linker's own symbols: the sample kernel has them, a kernel that asks for no device has not."""
    drivers = {"vmi_device_open", "vmi__device_open", "vmi__drivers", "vmi__driver_virtio_blk"}

    def symbols(kernel: Path) -> set[str]:
        shown = subprocess.run(["nm", kernel], capture_output=True, text=True, check=True).stdout
        return {line.split()[-1] for line in shown.splitlines()}

    assert drivers <= symbols(kernels("sample", arch)["native"])
    assert not drivers & symbols(tree(arch) / "examples/hello/hello-native.elf")


@pytest.mark.parametrize("text", ["none", "none,ro", "odd", "empty"])
def test_what_is_no_disk(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd").write_bytes(bytes(513))
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(UserError) as error:
        disk(str(tmp_path / text))
    assert error.value.status == 2
    assert len(str(error.value).splitlines()) == 1


def test_of_a_disk_the_end_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(512))
    assert not disk(str(tmp_path / "disk")).read_only
    assert disk(f"{tmp_path / 'disk'},ro").read_only
