# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The long tier's parts `boots` and `creations`: one boot for each architecture, and what it plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boot.long import TIMES, Boots, Creations, every_place


def test_one_boot_for_each_architecture(tmp_path: Path) -> None:
    """Of the first backend."""
    chosen = [place for place in every_place() if place.backend == every_place()[0].backend]
    assert len({place.arch for place in chosen}) == 2
    for result in Boots().run([f"{place} 1-1" for place in chosen], tmp_path):
        assert result.failure == ""
        assert result.counts == {"boots": 1, "boots that failed": 0}


@pytest.mark.parametrize("part", [Boots(), Creations()], ids=lambda part: part.name)
def test_each_configuration_and_architecture_has_its_pieces(part: Boots) -> None:
    boots: dict[str, list[int]] = {}
    for piece in part.pieces():
        name, numbers = piece.split()
        first, last = map(int, numbers.split("-"))
        boots.setdefault(name, []).extend(range(first, last + 1))
    assert set(boots) == {str(place) for place in part.where()}
    assert all(numbers == list(range(1, TIMES + 1)) for numbers in boots.values())


def test_creations_are_of_domains_alone() -> None:
    """A whole boot in each configuration, a small one where something is created that could be left."""
    assert Boots().where() == every_place()
    domains = Creations().where()
    assert {place.arch for place in domains} == {place.arch for place in every_place()}
    assert 0 < len(domains) < len(every_place())
