# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Domains that are created one after the other leave nothing. The long tier's `creations` has a thousand
in each configuration."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ci.build import kernels
from ci.rig import LIMITED_KERNEL, Guest
from ci.util import ARCHITECTURES
from ci.witness import before_mark, differences
from ci.xl import XlRig, XlSession, domain_number

from ..guests import Created, LeftOver, Place, Rigs, places, slowest

TIMES = 3
DOMAINS = [
    place
    for arch in ARCHITECTURES
    for place in places(arch)
    if isinstance(place.rig, XlRig) and not slowest(place)
]
LITTLE = {"cpus": 1, "deadline": 60.0}


@pytest.mark.parametrize("place", DOMAINS, ids=str)
def test_domain_is_created_again_and_again(place: Place, created: Created) -> None:
    """Each passes. On x86-64 each makes the hypercalls that Xen's trace has."""
    traced = place.rig.witnesses and place.arch == "x86_64"
    if place.limited:
        made = created(place, TIMES, kernel=LIMITED_KERNEL, **LITTLE)
    else:
        made = created(place, TIMES, "checks=boot", memory_mib=48, witness=traced, **LITTLE)
    assert len(made) == TIMES
    for outcome, report in made if traced else []:
        assert outcome.witness, outcome.evidence["trace"]
        snapshot = dict(pair.split("=") for pair in report.notes["snapshot"][0].split())
        counted = {call.number: call.count for call in report.hypercalls if call.count}
        assert differences(before_mark(outcome.witness, int(snapshot["mark"], 16)), counted) == {}
    # Xen numbers its domains; a rig that was opened anew begins anew.
    numbers = [domain_number(outcome.evidence["xl"]) for outcome, _ in made]
    new = [after for before, after in pairwise(numbers) if after == (before or 0) + 1]
    assert len(new) >= TIMES - 2 > 0, numbers


@pytest.mark.parametrize("place", DOMAINS[:1], ids=str)
def test_what_is_left_is_found(place: Place, rigs: Rigs) -> None:
    """A domain that nobody ends, with its memory and its part of xenstore; once it is ended, nothing."""
    rigs.prepare(place)
    session = rigs.session(place)
    if not isinstance(inner := session.session, XlSession):
        pytest.skip("this machine's own Xen is used, which has domains of others")
    folder = inner.control.folder()
    guest = Guest(
        kernels("hello", place.arch)[place.backend], "left", options=place.configuration.given(place.arch)[0]
    )
    kernel, config = (inner.control.put(file, folder) for file in (guest.kernel, inner.rig.config(guest)))
    create = f"xl create -p {config} 'name=\"left\"' 'kernel=\"{kernel}\"' memory=64"
    inner.control.script(f"{create} && xl destroy left")  # what is kept since the first
    left = LeftOver()
    left.guest_ended(session)
    assert set(left.before) == {"free_pages", "domains", "/local/domain", "/libxl", "/vm"}
    assert left.before["domains"] == left.before["/local/domain"] == "0"
    assert left.before["/libxl"] == left.before["/vm"] == ""
    assert int(left.before["free_pages"]) > 64 << 8
    inner.control.script(create)
    found = left.found()
    assert all(f"{name} was " in found for name in left.before), found
    inner.control.script("xl destroy left")
    assert left.found() == ""
