# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The tests of the suite again: with other random numbers, and on a busy machine (`./vmi test --long`)."""
