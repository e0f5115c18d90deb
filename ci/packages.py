# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Distribution packages as plain files.

A rig needs a hypervisor, a kernel and their tools, but must not install them: Debian's Xen packages
change the machine's boot menu. So packages are downloaded with apt's own client from the machine's
own sources and unpacked into the cache. None of it needs root.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from .cache import kept
from .util import Progress, UserError, cache_dir, locked, remembered, tied, write_if_changed

SYSTEM_LISTS = Path("/var/lib/apt/lists")


LISTS_SIZE = 256 << 20
"""Room for a distribution's package lists, with what apt needs to unpack them."""


class DownloadError(UserError):
    """A package that the lists name cannot be had: they are older than the archive or damaged, or there is
    no network."""


@dataclass(frozen=True)
class Package:
    """One package as the machine's sources offer it; `sha256` is that of the .deb file."""

    name: str
    version: str
    size: int
    sha256: str


def need_room(folder: Path, size: int) -> None:
    """OSError if there is less room than that."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, {size >> 20} MiB are needed", str(folder))


def parse_depends(text: str) -> dict[str, list[str]]:
    """The graph that `apt-cache depends --recurse` prints: package to its dependencies.

    Of alternatives (lines that start with `|`) the first is taken, as apt does; a virtual package
    (`<name>`) stands for the providers listed under it.
    """
    graph: dict[str, list[str]] = {}
    current: list[str] = []
    alternative = virtual = False
    for line in text.splitlines():
        if not line.startswith(" "):
            virtual = line.startswith("<")
            current = graph.setdefault(line.strip(), [])
            alternative = False
        elif "Depends: " in line and not virtual:
            kind, _, name = line.strip().partition("Depends: ")
            if not alternative:
                current.append(name.strip())
            alternative = kind.startswith("|")
        elif line.startswith("    ") and current and current[-1].startswith("<"):
            current[-1] = line.strip()
    return graph


def closure(graph: dict[str, list[str]], roots: Iterable[str], follow: Sequence[str]) -> list[str]:
    """Roots and everything they depend on whose name starts with one of `follow`."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [dep for dep in graph.get(name, []) if dep.startswith(tuple(follow))]
    return sorted(seen)


def parse_records(text: str) -> list[Package]:
    """Records of `apt-cache show`."""
    packages = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if "Package" in fields and "SHA256" in fields:
            packages.append(
                Package(fields["Package"], fields["Version"], int(fields["Size"]), fields["SHA256"])
            )
    return packages


class Apt:
    """apt's command line client on the system's package lists, or on private ones in the cache.

    Private lists are for machines whose own lists are missing or too old to download by.
    """

    def __init__(self, report: Progress) -> None:
        self.report = report
        self.options: list[str] = ["-o", "APT::Sandbox::User=root"]
        self.lists = SYSTEM_LISTS

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        program, *arguments = command
        try:
            done = subprocess.run(
                [program, *self.options, *arguments], cwd=cwd, capture_output=True, text=True, check=False,
                preexec_fn=tied(),
            )  # fmt: skip
        except FileNotFoundError:
            raise UserError(f"{program}: not found; the rigs need Debian's or Ubuntu's apt") from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
            raise UserError(f"{program} {arguments[0]}: " + (lines or ["failed"])[0].removeprefix("E: "))
        return done.stdout

    def private_lists(self) -> None:
        """Fetch the machine's sources' lists into the cache, which needs no root."""
        state = cache_dir() / "apt"
        self.lists = state / "lists"
        for part in ("lists/partial", "archives/partial"):
            (state / part).mkdir(parents=True, exist_ok=True)
        self.options += [
            "-o", f"Dir::State::Lists={self.lists}",
            "-o", f"Dir::Cache={state}",
            "-o", "Dir::Etc::SourceParts=/etc/apt/sources.list.d",
        ]  # fmt: skip
        # Without room apt does not end.
        need_room(state, LISTS_SIZE)
        self.report("fetching package lists into the cache")
        self._run("apt-get", "update")

    def resolve(self, roots: Sequence[str], follow: Sequence[str]) -> list[Package]:
        """The packages to unpack for `roots`, in the versions apt would install now."""
        quiet = [f"--no-{kind}" for kind in
                 ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]  # fmt: skip
        graph = parse_depends(self._run("apt-cache", "depends", "--recurse", *quiet, *roots))
        missing = [root for root in roots if root not in graph]
        if missing:
            raise UserError(f"no package {missing[0]} in this machine's apt sources")
        return parse_records(
            self._run("apt-cache", "show", "--no-all-versions", *closure(graph, roots, follow))
        )

    def download(self, package: Package, folder: Path) -> Path:
        """Download one .deb into `folder` and check its hash."""
        need_room(folder, package.size)
        try:
            self._run("apt-get", "download", "-q", f"{package.name}={package.version}", cwd=folder)
        except UserError as error:
            raise DownloadError(f"{error} ({package.name} {package.version})") from None
        found = list(folder.glob("*.deb"))
        if len(found) != 1:
            raise UserError(f"apt-get download {package.name}: expected one file, got {len(found)}")
        if hashlib.sha256(found[0].read_bytes()).hexdigest() != package.sha256:
            raise DownloadError(f"{package.name}: the downloaded file does not match its package list")
        return found[0]


@dataclass(frozen=True)
class Selection:
    """What a rig takes from packages.

    `roots` are package names; dependencies are followed while their name starts with one of
    `follow`; `only` maps names (a shell pattern) to the path patterns worth unpacking.
    """

    roots: tuple[str, ...]
    follow: tuple[str, ...]
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def patterns(self, name: str) -> tuple[str, ...]:
        for names, patterns in self.only:
            if fnmatch.fnmatch(name, names):
                return patterns
        return ()


def _stamp(lists: Path) -> str:
    """Changes whenever package lists are refreshed."""
    return str(lists.stat().st_mtime_ns) if lists.is_dir() else ""


def resolve(selection: Selection, report: Progress, fresh: bool = False) -> tuple[Apt, list[Package]]:
    """Resolve a selection; the answer is remembered until the machine's package lists change.

    With `fresh`, and where the machine has no lists, it is by lists that are fetched into the cache.
    """
    apt = Apt(report)
    key = hashlib.sha256(repr(selection).encode()).hexdigest()[:16]
    memo = cache_dir() / "resolved" / f"{key}.json"
    stamp = _stamp(SYSTEM_LISTS)
    with locked(cache_dir() / "resolved.lock"):
        known = remembered(memo)
        if known.get("stamp") == stamp and not fresh:
            with contextlib.suppress(TypeError, KeyError):  # damaged
                return apt, [Package(**entry) for entry in known["packages"]]
        if fresh:
            apt.private_lists()
        try:
            packages = apt.resolve(selection.roots, selection.follow)
        except UserError:
            if fresh:
                raise
            apt.private_lists()
            packages = apt.resolve(selection.roots, selection.follow)
        known = {"stamp": stamp, "packages": [asdict(package) for package in packages]}
        write_if_changed(memo, json.dumps(known, indent=1) + "\n")
    return apt, packages


def unpack(
    apt: Apt, selection: Selection, packages: Sequence[Package], report: Progress
) -> list[Path]:
    """Download and unpack what is not in the cache yet; the unpacked trees, one per package."""
    trees = []
    store = cache_dir() / "packages"
    with locked(cache_dir() / "packages.lock"):
        for package in packages:
            patterns = selection.patterns(package.name)
            part = hashlib.sha256("\n".join((package.sha256, *patterns)).encode()).hexdigest()[:12]
            tree = store / f"{package.name}_{package.version}_{part}"
            trees.append(kept(tree, partial(_unpack, apt, package, patterns, report), report))
    return trees


def _unpack(
    apt: Apt, package: Package, patterns: Sequence[str], report: Progress, content: Path
) -> None:
    report(f"unpacking {package.name} {package.version} ({package.size / 1e6:.1f} MB)")

    def download(folder: Path) -> None:
        apt.download(package, folder)

    with tempfile.TemporaryDirectory(dir=content.parent, prefix=".deb-") as folder:
        if patterns:
            # Rigs take different parts of the kernel's large package: that file is kept.
            store = cache_dir() / "debs" / f"{package.name}_{package.sha256[:12]}"
            (deb,) = kept(store, download, report).glob("*.deb")
        else:
            deb = apt.download(package, Path(folder))
        _extract(deb, content, patterns)


def _extract(deb: Path, target: Path, patterns: Sequence[str]) -> None:
    """Unpack a .deb's files, all or those that match; ownership and devices do not matter here."""
    wanted = ["--wildcards", *patterns] if patterns else []
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as archive:
        done = subprocess.run(
            ["tar", "-x", "--no-same-owner", "-C", target, *wanted],
            stdin=archive.stdout, capture_output=True, text=True, check=False,
        )  # fmt: skip
    # A pattern without a match is no error here: releases differ in where they put things, and
    # whoever uses a file says so when it is not there.
    errors = [line for line in done.stderr.splitlines()
              if "Not found in archive" not in line and "previous errors" not in line]  # fmt: skip
    if errors or archive.returncode:
        raise UserError(f"cannot unpack {deb.name}: {(errors or ['dpkg-deb failed'])[0]}")


def linux_package(names: Iterable[str]) -> str:
    """Of packages the one that is Linux itself, which `linux-image-amd64` depends on."""
    return next(name for name in names if re.match(r"linux-image-\d", name))


def linux_tree(trees: Iterable[Path]) -> Path:
    """Where that one was unpacked."""
    by_name = {tree.name: tree for tree in trees}
    return by_name[linux_package(by_name)]


def find(trees: Iterable[Path], pattern: str) -> Path:
    """The one file in the unpacked trees that matches `pattern` (below any of usr/ or the top)."""
    found = [path for tree in trees for path in tree.glob(f"**/{pattern}") if path.is_file()]
    if not found:
        raise UserError(f"no {pattern} in the unpacked packages")
    return found[0]
