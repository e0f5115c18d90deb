# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Where tests take their random numbers from.

A run is the same each time, unless VMI_SEED is a number: then tests with the mark `seeded` take other ones,
the same for the same number. `./vmi test --long seeds` runs them so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest

SEED = int(os.environ.get("VMI_SEED", "0"))
"""0 where none is asked for."""


def numbers(usual: list[int]) -> list[int]:
    """Seeds for a test that has these usually."""
    return [seed + 7919 * SEED for seed in usual]


def drawn(**settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a test of hypothesis: its examples are of the seed, whatever former runs have found."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        test = hypothesis.settings(deadline=None, derandomize=not SEED, database=None, **settings)(test)
        marked: Callable[..., Any] = pytest.mark.seeded(hypothesis.seed(SEED)(test) if SEED else test)
        return marked

    return decorate
