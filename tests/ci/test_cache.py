# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the cache holds is known by its hashes: whatever is damaged is noticed and made or fetched again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ci import packages, probe, rig
from ci.cache import HASHES, damage, kept
from ci.packages import Apt, DownloadError, Package, Selection
from ci.rig import discover
from ci.util import UserError


def flip(path: Path) -> None:
    """Another bit in the middle of a file, as a failing disk leaves it; size and date stay."""
    data, stat = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def folder(at: Path) -> None:
    (at / "below").mkdir()
    (at / "below/file").write_bytes(bytes(range(256)))
    (at / "link").symlink_to("below/file")


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda at: flip(at / "below/file"), "below/file is damaged"),
    (lambda at: (at / "below/file").write_bytes(b""), "below/file is damaged"),
    (lambda at: (at / "below/file").unlink(), "below/file is missing"),
    (lambda at: (at / "below/more").touch(), "below/more is new"),
    (lambda at: relink(at / "link"), "link is damaged"),
    (lambda at: flip(at / HASHES), ""),
    (lambda at: (at / HASHES).write_bytes(b"{"), "its hashes are missing or damaged"),
    (lambda at: (at / HASHES).unlink(), "its hashes are missing or damaged"),
]


@pytest.mark.parametrize(("harm", "said"), DAMAGES)
def test_every_damage_is_noticed(harm: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    told: list[str] = []
    at = tmp_path / "cache/folder"
    assert kept(at, folder, told.append) == at
    assert (damage(at), told) == ("", [])
    assert kept(at, lambda _: pytest.fail("made twice"), told.append) == at
    harm(at)
    assert kept(at, folder, told.append) == at
    assert damage(at) == ""
    assert (at / "below/file").read_bytes() == bytes(range(256))
    (line,) = told
    assert line.startswith(f"{at} in the cache is damaged: ") and said in line
    assert os.listdir(at.parent) == ["folder"], "nothing is left beside it"


def test_what_cannot_be_made_anew_leaves_nothing_half_made(tmp_path: Path) -> None:
    def half(at: Path) -> None:
        (at / "half").touch()
        raise UserError("no network")

    with pytest.raises(UserError):
        kept(tmp_path / "cache/folder", half, print)
    assert os.listdir(tmp_path / "cache") == []


class LocalApt(Apt):
    """apt's client whose archive is a folder."""

    def __init__(self, archive: Path) -> None:
        super().__init__(print)
        self.archive = archive
        self.fetched = 0

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        assert command[:2] == ("apt-get", "download") and cwd
        (cwd / "p.deb").write_bytes((self.archive / "p.deb").read_bytes())
        self.fetched += 1
        return ""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VMI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path: Path) -> tuple[LocalApt, Package]:
    """A package of one file, and the archive that has it."""
    content = tmp_path / "content"
    (content / "DEBIAN").mkdir(parents=True)
    (content / "usr").mkdir()
    (content / "usr/file").write_text("as packed\n" * 100)
    (content / "DEBIAN/control").write_text(
        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.invalid>\nDescription: test\n"
    )
    subprocess.run(["dpkg-deb", "--build", content, tmp_path / "p.deb"], check=True, capture_output=True)
    data = (tmp_path / "p.deb").read_bytes()
    return LocalApt(tmp_path), Package("p", "1", len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("only", [(), (("p", ("./usr/*",)),)], ids=["whole", "a part"])
def test_packages(only: tuple[tuple[str, tuple[str, ...]], ...], cache: Path, archive: object) -> None:
    """What was unpacked, and the package file that is kept where only a part is unpacked."""
    apt, package = archive  # type: ignore[misc]
    selection = Selection(("p",), (), only)

    def unpacked() -> str:
        (tree,) = packages.unpack(apt, selection, [package], print)
        return (tree / "usr/file").read_text()

    right = unpacked()
    assert right == "as packed\n" * 100
    assert (unpacked(), apt.fetched) == (right, 1)
    (tree,) = (cache / "packages").iterdir()
    flip(tree / "usr/file")
    assert unpacked() == right
    debs = list((cache / "debs").glob("*/*.deb"))
    assert (len(debs), apt.fetched) == ((1, 1) if only else (0, 2))
    for deb in debs:
        flip(deb)
        flip(tree / "usr/file")
        assert (unpacked(), apt.fetched) == (right, 2)


def test_a_download_that_is_damaged(cache: Path, archive: object) -> None:
    """It is an error by which a rig fetches the lists again, for they may be what is wrong."""
    apt, package = archive  # type: ignore[misc]
    flip(apt.archive / "p.deb")
    with pytest.raises(DownloadError, match="does not match its package list"):
        packages.unpack(apt, Selection(("p",), ()), [package], print)
    assert list((cache / "packages").iterdir()) == []


def test_a_cache_without_room(cache: Path, archive: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before apt is started, which would not end."""
    apt, package = archive  # type: ignore[misc]
    monkeypatch.setattr(packages.shutil, "disk_usage", lambda _: SimpleNamespace(free=package.size - 1))
    with pytest.raises(OSError, match="No space left on device, 0 MiB are needed"):
        packages.unpack(apt, Selection(("p",), ()), [package], print)
    with pytest.raises(OSError, match="No space left on device, 256 MiB are needed"):
        apt.private_lists()
    assert apt.fetched == 0


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"stamp": "STAMP", "packages": [{"name": 1}]}'])
def test_what_was_resolved(damaged: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of apt's answers; damaged it counts for nothing."""
    package = Package("p", "1", 1, "0")
    monkeypatch.setattr(Apt, "resolve", lambda *_: [package])
    monkeypatch.setattr(packages, "_stamp", lambda _: "STAMP")
    selection = Selection(("p",), ())
    assert packages.resolve(selection, print)[1] == [package]
    (memo,) = (cache / "resolved").iterdir()
    memo.write_text(damaged)
    assert packages.resolve(selection, print)[1] == [package]
    assert packages.Package(**json.loads(memo.read_text())["packages"][0]) == package


def test_rig_images(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each kind of rig that keeps one; what it is made of does not matter here."""
    made: list[str] = []

    def build(self: rig.LinuxRig, at: Path, trees: list[Path]) -> dict[str, str]:
        made.append(self.backend)
        (at / "rig.cpio").write_bytes(b"image" * 100)
        (at / "vmlinuz").write_bytes(b"kernel" * 100)
        return {}

    monkeypatch.setattr(rig.packages, "resolve", lambda *_: (None, []))
    monkeypatch.setattr(rig.packages, "unpack", lambda *_: [])
    monkeypatch.setattr(rig.LinuxRig, "_build", build)
    rigs = [each for each in discover(print).values() if isinstance(each, rig.LinuxRig)]
    assert rigs
    for each in rigs:
        made.clear()
        rig.LinuxRig._prepare(each, fresh=False)
        first = len(made)
        for name in ("rig.cpio", "vmlinuz", "versions.json"):
            flip(each.image.folder / name)
            rig.LinuxRig._prepare(each, fresh=False)
            assert damage(each.image.folder) == ""
            assert each.image.initramfs.read_bytes() == b"image" * 100
        assert len(made) == first + 3


def test_probes(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_ask", lambda *_: "usable")
    (tmp_path / "probe.S").touch()

    def ask() -> str:
        return probe.ask(tmp_path / "probe.S", ["qemu"], 1, "", lambda _: "")

    assert ask() == "usable"
    (answer,) = (cache / "probes").glob("*/answer")
    flip(answer)
    assert ask() == answer.read_text() == "usable"
