# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""examples/tftp in every configuration that has disks and networks: Debian's clients fetch from it, and the
bytes are equal. Its README's commands do what it says."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ci.build import BOUND, bound_kernel, kernels
from ci.rig import Disk, Guest, Net
from ci.run import free_port
from ci.setup import FOR_TESTS, provide
from ci.util import ARCHITECTURES, ROOT

from ..docs.porting_walk import walk
from ..guests import Place, Rigs, whole_places
from .clients import BIG, PROGRAMS, content, fetch, make_disk, sent, serve

SIZE = 4 << 20
SMALL = "small.bin"
SMALL_SIZE = 256 << 10
LONG = 40 << 20
"""More than 65536 blocks of 512 bytes."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("tftp"), {BIG: content(SIZE), SMALL: content(SMALL_SIZE)})


def kernel_of(place: Place, library: str) -> Path:
    if library == BOUND:
        return bound_kernel("tftp", place.arch)
    return kernels("tftp", place.arch)[place.backend]


PLACES = [
    place
    for arch in ARCHITECTURES
    for place in whole_places(arch)
    if not (place.rig.disks or place.rig.nets)
]
ROWS = [(place, library) for place in PLACES for library in ("own", BOUND)]


@pytest.mark.parametrize(("place", "library"), ROWS, ids=lambda each: str(each))
def test_clients_fetch(place: Place, library: str, rigs: Rigs, disk: Path, tmp_path: Path) -> None:
    """All at the same time, one of them the large file with many blocks on their way; from the kernel that
    binds itself one does, by another network device than the usual one where there is any."""
    names = {"atftp": SMALL} if library == BOUND else {"curl": SMALL, "tftp-hpa": SMALL, "atftp": BIG}
    assert library == BOUND or names.keys() == PROGRAMS.keys()
    rigs.prepare(place)
    options, _ = place.configuration.given(place.arch)
    append = place.configuration.bound_append if library == BOUND else ""
    others = place.rig.net_devices[1:] if library == BOUND else ()
    device = others[-1 - ARCHITECTURES.index(place.arch)] if others else ""

    def work(port: int) -> None:
        with ThreadPoolExecutor() as pool:
            said = pool.map(lambda name: fetch(port, PROGRAMS[name], names[name], tmp_path / name), names)
            assert dict(zip(names, said, strict=True)) == dict.fromkeys(names, "")

    name = f"tftp-{library}-{place}"
    outcome = serve(rigs.session(place), kernel_of(place, library), name, disk, work, append=append,
                    device=device, options=options)  # fmt: skip
    assert f"TFTP by VMI for {place.backend}" in outcome.console
    sizes = {BIG: SIZE, SMALL: SMALL_SIZE}
    for name, file in names.items():
        assert (tmp_path / name).read_bytes() == content(sizes[file]), name
    assert sorted(file for file, _ in sent(outcome)) == sorted(names.values())


def test_block_numbers_wrap(rigs: Rigs, tmp_path: Path) -> None:
    """A client that knows no options."""
    place = next(place for place in PLACES if place.backend == "native")
    disk = make_disk(tmp_path, {BIG: content(LONG)})

    def work(port: int) -> None:
        assert fetch(port, PROGRAMS["tftp-hpa"], BIG, tmp_path / "out") == ""

    rigs.prepare(place)
    serve(rigs.session(place), kernel_of(place, "own"), "tftp-wraps", disk, work)
    assert (tmp_path / "out").read_bytes() == content(LONG)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("what", ["disk", "volume", "network"])
def test_what_is_missing_is_said(arch: str, what: str, rigs: Rigs, disk: Path, tmp_path: Path) -> None:
    """And the kernel ends, as one that has failed."""
    place = next(place for place in PLACES if place.backend == "native" and place.arch == arch)
    other = tmp_path / "other"
    other.write_bytes(bytes(1 << 20))
    disks = {"disk": [], "volume": [Disk(other)], "network": [Disk(disk, True)]}[what]
    guest = Guest(kernel_of(place, "own"), f"tftp-without-{what}", disks=disks,
                  nets=[] if what == "network" else [Net()])  # fmt: skip
    rigs.prepare(place)
    outcome = rigs.session(place).run(guest)
    missing = "network" if what == "network" else "disk with an ISO 9660 volume"
    assert outcome.console.splitlines()[-1] == f"there is no {missing}"
    assert outcome.end == "exit status 0x11 (fail)"
    assert "there is no source of entropy" in outcome.console


def test_readme(tmp_path: Path) -> None:
    """Word for word, but for the port, which may be somebody's here, and what the build says."""
    provide({need: FOR_TESTS[need] for need in ("curl", "xorriso")})
    text = (ROOT / "examples/tftp/README.md").read_text()
    (tmp_path / "vmi-sdk").symlink_to(ROOT)
    port = str(free_port(socket.SOCK_DGRAM))
    here = text.replace("6969", port).replace("$ vmi-sdk/vmi build\n", "")
    assert walk(here, tmp_path) == here
