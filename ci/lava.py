# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Results as LAVA signals, for laboratories that collect them from a job's log.

The form is that of LAVA's lava-test-case, `<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=… RESULT=…>`, with no
spaces in the name.
"""

from __future__ import annotations

import re

from .ktap import Report


def signal(name: str, result: str) -> str:
    """One test case; `result` is pass, fail or skip."""
    identifier = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")
    return f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={identifier} RESULT={result}>"


def signals(report: Report, suite: str) -> list[str]:
    """One signal per test of a kernel's KTAP, named SUITE.TEST."""
    return [signal(f"{suite}.{test.name}", test.status) for test in report.tests]
