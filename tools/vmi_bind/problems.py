# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a person can mend: a message of one line."""

from __future__ import annotations


class InputError(Exception):
    """A file that cannot be used, and why: exit status 2."""


class Refused(InputError):
    """A kernel that cannot be bound, and why: exit status 1."""
