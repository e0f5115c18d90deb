# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Long waits are told: a kernel that does nothing but wait."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ci.build import build
from ci.util import BUILD, ROOT
from tests.guests import Place, Run

WAITS = 20_000
TOLD_AFTER = 0xFFF  # hv-spinlocks in rig.py

KERNEL = """
#include <vmi/vmi.h>

/* The hypercall's own count, from the library's table. */
static uint32_t told(void)
{
    uint32_t i;

    for (i = 0; i < vmi_hypercalls_count; i++) {
        if (vmi_hypercalls[i].number == 0x10008)
            return *vmi_hypercalls[i].count;
    }
    return ~0u;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    uint32_t i;

    (void)boot;
    for (i = 0; i < WAITS; i++)
        vmi_yield();
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF,
                        told() == WAITS / TOLD_AFTER ? VMI_STATUS_PASS : VMI_STATUS_FAIL);
}
"""


def test_long_waits_are_told(place: Place, run: Run, tmp_path: Path) -> None:
    build()
    source = tmp_path / "waits.c"
    source.write_text(KERNEL)
    image = tmp_path / "waits-hyperv.elf"
    command = ["gcc", "-m32", "-march=i686", "-mno-sse", "-O2", "-std=gnu11", "-ffreestanding", "-fno-pic",
               "-fno-stack-protector", "-nostdlib", "-static", "-no-pie", f"-DWAITS={WAITS}",
               f"-DTOLD_AFTER={TOLD_AFTER}", f"-I{BUILD}/include",
               f"-Wl,-T,{ROOT}/runtime/arch/i386/kernel.ld",
               "-Wl,--build-id=none,-z,noexecstack", str(source), str(BUILD / "backends/libvmi-hyperv.a"),
               "-o", str(image)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    outcome, _ = run(place, kernel=image, cpus=1)
    assert outcome.clean, outcome.end
    if counters := outcome.evidence.get("counter"):
        assert f"hypercalls {WAITS // TOLD_AFTER}" in counters
