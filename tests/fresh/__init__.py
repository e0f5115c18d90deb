# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The README's two commands on a machine that has nothing yet."""
