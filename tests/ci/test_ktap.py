# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The console's parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci import ktap, lava

from ..seeds import drawn

GOOD = """\
loader: whatever came before
KTAP version 1
1..3
ok 1 console
(XEN) a hypervisor's line in between
ok 2 paging.copy on write
ok 3 cpus # SKIP one CPU only
# boot backend=native protocol=multiboot rpl=0 cpus=1 memory_kib=65536
# call SetCR3 ordinal=17 kind=instruction count=57 how=mov %eax, %cr3
# call CPUID ordinal=4 kind=routine count=3 how=vmi__x_cpuid
# call Kick ordinal=134 kind=hypercall conditional=yes count=2 how=kick
# hypercall mmu_update number=1 count=57
# workload page_fault rounds=64 hypercalls=96
# latency mean=5
# result pass=2 fail=0 skip=1
"""


def test_everything_is_read() -> None:
    report = ktap.parse(GOOD)
    assert report.failures() == []
    assert [(test.name, test.status, test.reason) for test in report.tests] == [
        ("console", "pass", ""),
        ("paging.copy on write", "pass", ""),
        ("cpus", "skip", "one CPU only"),
    ]
    assert report.boot["memory_kib"] == "65536"
    assert report.calls[0] == ktap.Call("SetCR3", 17, "instruction", 57, "mov %eax, %cr3")
    assert report.by_kind() == {"hypercall if needed": 2, "instruction": 57, "routine": 3}
    assert report.hypercalls == [ktap.Hypercall("mmu_update", 1, 57)]
    assert report.workloads == [ktap.Workload("page_fault", 64, 96)]
    assert report.workloads[0].per_round == 1.5
    assert report.notes == {"latency": ["mean=5"]}
    assert report.result == {"pass": 2, "fail": 0, "skip": 1}


@pytest.mark.parametrize(
    ("old", "new", "failure"),
    [
        ("KTAP version 1\n", "", "no KTAP on the console"),
        ("1..3\n", "", "no plan (1..N)"),
        ("1..3", "1..4", "3 of 4 planned tests reported"),
        ("ok 2", "not ok 2", "not ok 2 paging.copy on write"),
        ("ok 2 paging.copy on write", "not ok 2 paging # page 7 differs", "not ok 2 paging: page 7 differs"),
        ("ok 2", "ok 3", "test 3 where 2 was expected"),
        ("# result pass=2 fail=0 skip=1\n", "", "no result line"),
        ("# result pass=2", "# result pass=3", "the result line says"),
        ("# call SetCR3 ordinal=17", "# call SetCR3 ordinal=x", "malformed line: # call SetCR3"),
        ("# hypercall mmu_update number=1", "# hypercall mmu_update", "malformed line: # hypercall"),
        ("# workload page_fault rounds=64", "# workload page_fault", "malformed line: # workload"),
        ("ok 3", "KTAP version 1\nok 3", "KTAP starts twice"),
        ("1..3", "1..3\n1..3", "two plans"),
    ],
)
def test_what_does_not_pass(old: str, new: str, failure: str) -> None:
    assert old in GOOD
    failures = ktap.parse(GOOD.replace(old, new)).failures()
    assert any(line.startswith(failure) for line in failures), failures


def test_cut_anywhere_never_passes() -> None:
    """A console that ends early, wherever that is, does not pass."""
    for end in range(GOOD.index("# result")):
        assert ktap.parse(GOOD[:end]).failures()


@drawn()
@given(st.text())
def test_noise_never_raises(noise: str) -> None:
    ktap.parse(noise)
    assert ktap.parse("KTAP version 1\n" + noise).started


def test_lava_signals() -> None:
    assert lava.signals(ktap.parse(GOOD), "native") == [
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=native.console RESULT=pass>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=native.paging.copy-on-write RESULT=pass>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=native.cpus RESULT=skip>",
    ]
