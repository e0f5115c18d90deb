# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Finds the sensitive instructions that are left in a kernel's objects, and says what to use instead."""
