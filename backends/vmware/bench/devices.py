# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""VMware's disk and network, as QEMU emulates them, beside Linux's drivers (backends/native/bench)."""

from __future__ import annotations

from backends.native.bench.beside_linux import Pair

PAIR = Pair(
    "pvscsi and vmxnet3", ("sd-mod", "vmw-pvscsi", "vmxnet3"),
    options={"qemu": "-drive if=none,id=disk,format=raw,file={disk} -device pvscsi,id=scsi "
                     "-device scsi-hd,drive=disk,bus=scsi.0"},
    network="vmxnet3", backend="vmware",
)  # fmt: skip
