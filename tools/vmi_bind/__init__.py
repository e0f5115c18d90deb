# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Binds the call sites of a linked kernel to its library, on the build machine."""
