# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the Hyper-V library says about the interface, held against Linux's headers by a C compiler.

They are not among the installed ones (linux-libc-dev), so the distribution's package with all headers
of its kernel is downloaded and unpacked into the cache, as rigs' packages are.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci import packages
from ci.util import ROOT, progress

FOLDER = ROOT / "backends/hyperv"

# What the two headers want from the kernel's others.
SHIMS = {
    "linux/types.h": "#include <stdint.h>\n#include <stdbool.h>\n"
    "typedef uint8_t u8, __u8; typedef uint16_t u16, __u16; typedef uint32_t u32, __u32;\n"
    "typedef uint64_t u64, __u64; typedef int64_t s64;\n"
    "#define __packed __attribute__((packed))\n#define __aligned(n) __attribute__((aligned(n)))\n",
    "linux/bits.h": "#define BIT(n) (1ul << (n))\n#define BIT_ULL(n) (1ull << (n))\n"
    "#define GENMASK_ULL(h, l) (~0ull << (l) & ~0ull >> (63 - (h)))\n",
    "linux/math.h": "",
    "linux/time64.h": "",
    "asm/page.h": "#define PAGE_SIZE 4096\n#define PAGE_SHIFT 12\n#define HV_HYP_PAGE_SIZE 4096\n",
}

# tlfs.h's names as the headers have them.
CONSTANTS = {
    "HYPERV__CPUID_MAX": "HYPERV_CPUID_VENDOR_AND_MAX_FUNCTIONS",
    "HYPERV__CPUID_INTERFACE": "HYPERV_CPUID_INTERFACE",
    "HYPERV__CPUID_FEATURES": "HYPERV_CPUID_FEATURES",
    "HYPERV__CPUID_ENLIGHTMENTS": "HYPERV_CPUID_ENLIGHTMENT_INFO",
    "HYPERV__CPUID_LEAST": "HYPERV_CPUID_MIN",
    "HYPERV__ACCESS_REFERENCE_COUNTER": "HV_MSR_TIME_REF_COUNT_AVAILABLE",
    "HYPERV__ACCESS_SYNTHETIC_TIMERS": "HV_MSR_SYNTIMER_AVAILABLE",
    "HYPERV__ACCESS_APIC": "HV_MSR_APIC_ACCESS_AVAILABLE",
    "HYPERV__ACCESS_HYPERCALL": "HV_MSR_HYPERCALL_AVAILABLE",
    "HYPERV__ACCESS_VP_INDEX": "HV_MSR_VP_INDEX_AVAILABLE",
    "HYPERV__ACCESS_REFERENCE_TSC": "HV_MSR_REFERENCE_TSC_AVAILABLE",
    "HYPERV__ACCESS_FREQUENCIES": "HV_ACCESS_FREQUENCY_MSRS",
    "HYPERV__HAS_FREQUENCIES": "HV_FEATURE_FREQUENCY_MSRS_AVAILABLE",
    "HYPERV__HAS_CRASH": "HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE",
    "HYPERV__HAS_DIRECT_TIMER": "HV_STIMER_DIRECT_MODE_AVAILABLE",
    "HYPERV__RECOMMENDS_REMOTE_FLUSH": "HV_X64_REMOTE_TLB_FLUSH_RECOMMENDED",
    "HYPERV__RECOMMENDS_APIC": "HV_X64_APIC_ACCESS_RECOMMENDED",
    "HYPERV__RECOMMENDS_CLUSTER_IPI": "HV_X64_CLUSTER_IPI_RECOMMENDED",
    "HYPERV__RECOMMENDS_SETS": "HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED",
    "HYPERV__MSR_GUEST_OS_ID": "HV_X64_MSR_GUEST_OS_ID",
    "HYPERV__MSR_HYPERCALL": "HV_X64_MSR_HYPERCALL",
    "HYPERV__MSR_VP_INDEX": "HV_X64_MSR_VP_INDEX",
    "HYPERV__MSR_REFERENCE_COUNTER": "HV_X64_MSR_TIME_REF_COUNT",
    "HYPERV__MSR_REFERENCE_TSC": "HV_X64_MSR_REFERENCE_TSC",
    "HYPERV__MSR_TSC_FREQUENCY": "HV_X64_MSR_TSC_FREQUENCY",
    "HYPERV__MSR_APIC_FREQUENCY": "HV_X64_MSR_APIC_FREQUENCY",
    "HYPERV__MSR_EOI": "HV_X64_MSR_EOI",
    "HYPERV__MSR_VP_ASSIST_PAGE": "HV_X64_MSR_VP_ASSIST_PAGE",
    "HYPERV__MSR_TIMER0_CONFIG": "HV_X64_MSR_STIMER0_CONFIG",
    "HYPERV__MSR_TIMER0_COUNT": "HV_X64_MSR_STIMER0_COUNT",
    "HYPERV__MSR_CRASH_P0": "HV_X64_MSR_CRASH_P0",
    "HYPERV__MSR_CRASH_CONTROL": "HV_X64_MSR_CRASH_CTL",
    "HYPERV__ENABLED": "HV_X64_MSR_HYPERCALL_ENABLE",
    "HYPERV__CRASH_NOTIFY": "HV_CRASH_CTL_CRASH_NOTIFY",
    "HYPERV__FLUSH_ALL_SPACES": "HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES",
    "HYPERV__FLUSH_NON_GLOBAL": "HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY",
    "HYPERV__STATUS_MASK": "HV_HYPERCALL_RESULT_MASK",
    "HYPERV__STATUS_SUCCESS": "HV_STATUS_SUCCESS",
}

# Not by name in the headers. The timer's bits are a bit field there, which LAYOUT compares.
ELSEWHERE = {
    "HYPERV__INTERFACE", "HYPERV__SPINS_NEVER", "HYPERV__OS_OPEN_SOURCE", "HYPERV__OS_VERSION_SHIFT",
    "HYPERV__TIMER_AUTO_ENABLE", "HYPERV__TIMER_VECTOR_SHIFT", "HYPERV__TIMER_DIRECT",
    "HYPERV__NO_EOI_BIT", "HYPERV__FLUSH_RANGE_PAGES", "HYPERV__MASK_PROCESSORS",
    "HYPERV__BANKS", "HYPERV__BANKS_VALID",
}  # fmt: skip

LAYOUT = """
SAME(sizeof(struct hyperv__reference_tsc), 24);
SAME(offsetof(struct hyperv__reference_tsc, sequence), offsetof(struct ms_hyperv_tsc_page, tsc_sequence));
SAME(offsetof(struct hyperv__reference_tsc, scale), offsetof(struct ms_hyperv_tsc_page, tsc_scale));
SAME(offsetof(struct hyperv__reference_tsc, offset), offsetof(struct ms_hyperv_tsc_page, tsc_offset));
SAME(offsetof(struct hyperv__flush, address_space), offsetof(struct hv_tlb_flush, address_space));
SAME(offsetof(struct hyperv__flush, flags), offsetof(struct hv_tlb_flush, flags));
SAME(offsetof(struct hyperv__flush, processors), offsetof(struct hv_tlb_flush, processor_mask));
SAME(offsetof(struct hyperv__flush, range), offsetof(struct hv_tlb_flush, gva_list));
SAME(offsetof(struct hv_vp_assist_page, apic_assist), 0);
SAME(((union hv_stimer_config){.auto_enable = 1}).as_uint64, HYPERV__TIMER_AUTO_ENABLE);
SAME(((union hv_stimer_config){.direct_mode = 1}).as_uint64, HYPERV__TIMER_DIRECT);
SAME(((union hv_stimer_config){.apic_vector = 0xfe}).as_uint64, 0xfeull << HYPERV__TIMER_VECTOR_SHIFT);
SAME(offsetof(struct hv_send_ipi, vector), 0);
SAME(offsetof(struct hv_send_ipi, cpu_mask), 8);
SAME(offsetof(struct hyperv__ipi_set, vector), offsetof(struct hv_send_ipi_ex, vector));
SAME(offsetof(struct hyperv__ipi_set, processors), offsetof(struct hv_send_ipi_ex, vp_set));
SAME(offsetof(struct hyperv__set, format), offsetof(struct hv_vpset, format));
SAME(offsetof(struct hyperv__set, banks_valid), offsetof(struct hv_vpset, valid_bank_mask));
SAME(offsetof(struct hyperv__set, banks), offsetof(struct hv_vpset, bank_contents));
SAME(offsetof(struct hyperv__flush_set, flags), offsetof(struct hv_tlb_flush_ex, flags));
SAME(offsetof(struct hyperv__flush_set, processors), offsetof(struct hv_tlb_flush_ex, hv_vp_set));
SAME(HV_GENERIC_SET_SPARSE_4K, 0);
"""


@pytest.fixture(scope="session")
def headers() -> Path:
    """The root of Linux's own headers."""
    selection = packages.Selection(
        roots=("linux-headers-amd64",),
        follow=("linux-headers-",),
        only=(("linux-headers-*", ("*/hyperv-tlfs.h",)),),
    )
    apt, chosen = packages.resolve(selection, progress)
    trees = packages.unpack(apt, selection, chosen, progress)
    found = [path for tree in trees for path in tree.glob("usr/src/*/include/asm-generic/hyperv-tlfs.h")]
    assert found, "no package has asm-generic/hyperv-tlfs.h"
    return found[0].parents[2]


def hypercalls() -> list[dict[str, Any]]:
    """The table of backend.yaml."""
    table: list[dict[str, Any]] = YAML(typ="safe").load(FOLDER / "backend.yaml")["hypercalls"]["calls"]
    return table


def constants() -> list[str]:
    return re.findall(r"^#define (HYPERV__\w+)\s", (FOLDER / "tlfs.h").read_text(), re.MULTILINE)


def run_same(assertions: str, headers: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compiles for i386 with both headers, folding each SAME to a constant; a wrong one is an error."""
    for name, text in SHIMS.items():
        path = folder / "shims" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    source = folder / "abi.c"
    source.write_text(
        "#include <stddef.h>\n#include <linux/types.h>\n#include <linux/bits.h>\n"
        '#include <asm/hyperv-tlfs.h>\n#include "tlfs.h"\n'
        'void wrong(void) __attribute__((error("differs")));\n'
        "#define SAME(a, b) do { if ((a) != (b)) wrong(); } while (0)\n"
        f"void check(void)\n{{\n{assertions}\n}}\n"
    )
    command = ["gcc", "-m32", "-O2", "-ffreestanding", f"-I{folder}/shims", f"-I{FOLDER}",
               f"-I{headers}/arch/x86/include", f"-I{headers}/include", "-S", "-o", "/dev/null",
               str(source)]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_every_constant_is_compared() -> None:
    names = constants()
    assert len(names) > 40
    assert set(names) == set(CONSTANTS) | ELSEWHERE


def test_constants(headers: Path, tmp_path: Path) -> None:
    lines = "\n".join(f"SAME({ours}, {theirs});" for ours, theirs in CONSTANTS.items())
    done = run_same(lines, headers, tmp_path)
    assert done.returncode == 0, done.stderr


def test_hypercall_numbers(headers: Path, tmp_path: Path) -> None:
    """Those whose parameters are in registers have the bit that says so, sparse sets their size."""
    lines = []
    for call in hypercalls():
        fast = call["name"] in ("notify_long_spin_wait", "send_synthetic_cluster_ipi")
        bits = "HV_HYPERCALL_FAST_BIT" if fast else "0"
        if call["name"].endswith("_ex"):
            bits = "HYPERV__BANKS << HV_HYPERCALL_VARHEAD_OFFSET"
        lines.append(f"SAME({call['number']}, ({call['macro']} | {bits}));")
    assert len(lines) == 7
    done = run_same("\n".join(lines), headers, tmp_path)
    assert done.returncode == 0, done.stderr


def test_layout(headers: Path, tmp_path: Path) -> None:
    done = run_same(LAYOUT, headers, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_wrong_number_is_noticed(headers: Path, tmp_path: Path) -> None:
    done = run_same("SAME(HYPERV__MSR_EOI, HV_X64_MSR_ICR);", headers, tmp_path)
    assert done.returncode != 0
    assert "differs" in done.stderr
