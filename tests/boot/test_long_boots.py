# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The long tier's part `boots`: one boot for each architecture, and what it plans."""

from __future__ import annotations

from pathlib import Path

from tests.boot.long import AT_ONCE, TIMES, Boots, every_place


def test_one_boot_for_each_architecture(tmp_path: Path) -> None:
    """Of the first backend."""
    chosen = [place for place in every_place() if place.backend == every_place()[0].backend]
    assert len({place.arch for place in chosen}) == 2
    for result in Boots().run([f"{place} 1-1" for place in chosen], tmp_path):
        assert result.failure == ""
        assert result.counts == {"boots": 1, "boots that failed": 0}


def test_each_configuration_and_architecture_has_its_pieces() -> None:
    names = [piece.split()[0] for piece in Boots().pieces()]
    assert {names.count(str(place)) for place in every_place()} == {TIMES // AT_ONCE}
    assert set(names) == {str(place) for place in every_place()}
