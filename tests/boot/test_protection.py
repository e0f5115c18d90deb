# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a processor offers to protect a kernel is used: on QEMU's PC with all that it emulates."""

from __future__ import annotations

from ..guests import Run, places

HARDWARE = places("x86_64")[0]


def test_all_that_the_processor_has_is_used(run: Run) -> None:
    """With four CPUs, so that the conformance kernel is not always tried with two."""
    outcome, report = run(HARDWARE, kernel="conformance", cpus=4, options={"cpu": "max"})
    assert report.failures() == []
    assert outcome.clean, outcome.end
    status = {test.name: test.status for test in report.tests}
    chosen = {name: status[name] for name in status if name.startswith(("protection.", "entries."))}
    assert len(chosen) >= 20
    assert set(chosen.values()) == {"pass"}
