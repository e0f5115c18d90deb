# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a person can mend: a message of one line."""

from __future__ import annotations


class InputError(Exception):
    """A file that cannot be used, and why."""
