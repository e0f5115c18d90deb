# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""KTAP as LAVA signals, for laboratories that collect results from a job's log.

The form is LAVA's lava-test-case: `<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=… RESULT=…>`, with no spaces in
the name.
"""

from __future__ import annotations

import re

from .ktap import Report


def signals(report: Report, suite: str) -> list[str]:
    """One signal per test, named SUITE.TEST."""
    return [
        f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={re.sub(r'[^A-Za-z0-9_.-]+', '-', f'{suite}.{test.name}')} "
        f"RESULT={test.status}>"
        for test in report.tests
    ]
