# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Two clients fetch from examples/tftp at the same time over a network that drops, doubles and delays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ci.build import kernels
from ci.long import Part, Result
from ci.util import ARCHITECTURES

from ..guests import whole_places
from .clients import BIG, PROGRAMS, content, fetch, make_disk, sent, serve
from .lossy import Lossy

SIZE = 64 << 20
CLIENTS = ("curl", "atftp")
PATIENCE = 1800
DROP, DOUBLE, LATE = 0.001, 0.005, 0.005


def fetch_badly(folder: Path, seed: int, counts: Counter[str], said: dict[str, str], port: int) -> None:
    """Has all clients fetch at the same time; what each says if it fails."""
    with Lossy(port, seed, DROP, DOUBLE, LATE) as network, ThreadPoolExecutor() as pool:
        found = pool.map(
            lambda name: fetch(network.port, PROGRAMS[name], BIG, folder / name, PATIENCE), CLIENTS
        )
        said.update(zip(CLIENTS, found, strict=True))
        counts.update(network.counts)


class BadNetwork(Part):
    name = "tftp"
    summary = f"two clients fetch {SIZE >> 20} MiB from examples/tftp; packets are dropped, doubled and late"
    of = ("spec", "codegen", "runtime", "devices", "backends", "examples/tftp", "tests/tftp")

    def pieces(self) -> list[str]:
        places = [place for arch in ARCHITECTURES for place in whole_places(arch)]
        return [str(place) for place in places if not (place.rig.disks or place.rig.nets)]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        known = {str(place): place for arch in ARCHITECTURES for place in whole_places(arch)}
        folder.mkdir(parents=True, exist_ok=True)
        disk = folder / "files.iso"
        if not disk.is_file():
            make_disk(folder, {BIG: content(SIZE)})
        for piece in pieces:
            place = known[piece]
            place.rig.prepare()
            on = place.rig.describe()
            counts: Counter[str] = Counter()
            said: dict[str, str] = {}
            work = partial(fetch_badly, folder, self.pieces().index(piece), counts, said)
            kernel = kernels("tftp", place.arch)[place.backend]
            options, _ = place.configuration.given(place.arch)
            with place.rig.steady_session(folder) as session:
                outcome = serve(session, kernel, f"tftp-{piece}", disk, work, PATIENCE, options=options)
            wrong = [f"{name}: {text.strip()}" for name, text in said.items() if text] or [
                f"{name}: other bytes" for name in CLIENTS if (folder / name).read_bytes() != content(SIZE)
            ]
            counts["files"] = len(CLIENTS) - len(wrong)
            counts["packets sent again"] = sum(again for _, again in sent(outcome))
            yield Result(piece, counts, "; ".join(wrong), on=on)


PARTS = (BadNetwork(),)
