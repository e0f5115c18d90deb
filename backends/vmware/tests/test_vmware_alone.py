# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Nothing but this folder speaks of this hypervisor's interface."""

from tests.backends.test_deletion import speak_of


def test_no_word_of_it_elsewhere() -> None:
    assert speak_of("vmware") == []
