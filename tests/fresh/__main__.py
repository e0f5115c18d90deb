# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Follow the README's quick start word for word on a fresh Debian:

    python3 -m tests.fresh SUITE [--folder FOLDER] [--only COMMAND]…

SUITE is a Debian release (bookworm, trixie). debootstrap makes its smallest system in FOLDER (default: a
new folder under the temporary one, removed afterwards), with git, Python and nothing else added; this tree's
HEAD is cloned into it, and the commands of the README's section "Two commands" are run there in turn,
with an empty cache. Needs root, for debootstrap and chroot. Prints what ran, how it ended and how long it
took; exit 1 if a command failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = "root/vmi"
MOUNTS = (
    ("proc", "proc", "proc"),
    ("sysfs", "sys", "sysfs"),
    ("devtmpfs", "dev", "devtmpfs"),
    ("devpts", "dev/pts", "devpts"),
)
ADDED = ("ca-certificates", "git", "python3")
TAIL = 60
MADE = "root/made"
"""There if the system is whole."""


def commands() -> list[str]:
    """The README's, as they stand there."""
    section = (ROOT / "README.md").read_text().split("\n## Two commands\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^    (\./vmi[^#\n]*?) *(?:#.*)?$", section, re.MULTILINE)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


@contextlib.contextmanager
def mounted(system: Path) -> Iterator[None]:
    """What programs expect of a machine; `dev` has the loop and KVM devices of this one."""
    unmount(system)
    try:
        for source, where, kind in MOUNTS:
            run("mount", "-t", kind, source, system / where)
        yield
    finally:
        unmount(system)


def unmount(system: Path) -> None:
    """Also what a run that was killed has left: through it, removing the system would reach this machine."""
    for _, where, _ in reversed(MOUNTS):
        while os.path.ismount(system / where):
            run("umount", "-l", system / where)


def make(suite: str, system: Path) -> None:
    run("debootstrap", "--variant=minbase", f"--include={','.join(ADDED)}", suite, system)
    # How this machine reaches the registries is how the new one does.
    for name in ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", name).is_file():
            shutil.copy(Path("/", name), system / name)
    for path in sorted(Path("/etc/apt/apt.conf.d").glob("99*")):
        shutil.copy(path, system / "etc/apt/apt.conf.d")


def clone(system: Path) -> None:
    run("git", "clone", "--quiet", "--no-local", ROOT, system / HOME)


def follow(system: Path, command: str) -> tuple[int, list[str]]:
    """Run a command as a new user would; how it ended, and what it wrote."""
    log = system / "root" / f"{re.sub(r'[^a-z]+', '-', command).strip('-')}.log"
    with log.open("w") as stream:
        # A new user's shell: no setting of this one, and no cache.
        done = subprocess.run(
            ["chroot", system, "/usr/bin/env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
             "LANG=C.UTF-8", "TERM=dumb", *registries(), "sh", "-c", f"cd /{HOME} && {command}"],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    return done.returncode, log.read_text(errors="replace").splitlines()


def absent() -> str:
    """Why no system can be made here; empty if one can."""
    if os.geteuid() == 0 and shutil.which("debootstrap"):
        return ""
    return "needs root and debootstrap (Debian: debootstrap)"


@contextlib.contextmanager
def fresh(suite: str, system: Path) -> Iterator[None]:
    """A system in that folder, made if need be, with a new clone and an empty cache."""
    unmount(system)
    if not (system / MADE).exists():
        shutil.rmtree(system, ignore_errors=True)
        make(suite, system)
        (system / MADE).touch()
    shutil.rmtree(system / HOME, ignore_errors=True)
    shutil.rmtree(system / "root/.cache/vmi-sdk", ignore_errors=True)
    clone(system)
    with mounted(system):
        yield


def registries() -> list[str]:
    """Settings by which this machine reaches the registries."""
    wanted = re.compile("(?i)(https?|no)_proxy|pip_.*")
    return [f"{key}={value}" for key, value in os.environ.items() if wanted.fullmatch(key)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fresh", description=__doc__.partition("\n")[0])
    parser.add_argument("suite", help="a Debian release: bookworm, trixie")
    parser.add_argument("--folder", type=Path, help="where the system is made, and kept")
    parser.add_argument("--only", action="append", help="only this command of the README's; may be repeated")
    arguments = parser.parse_args()
    if why := absent():
        print(f"fresh: {why}", file=sys.stderr)
        return 2
    chosen = [command for command in commands() if not arguments.only or command in arguments.only]
    if not chosen:
        print(f"fresh: the README has no such command; it has: {', '.join(commands())}", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        system = arguments.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="vmi-fresh-", ignore_cleanup_errors=True))
        )
        try:
            stack.enter_context(fresh(arguments.suite, system))
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"fresh: {error}", file=sys.stderr)
            return 1
        good = True
        for command in chosen:
            print(f"fresh: {command}", flush=True)
            started = time.monotonic()
            status, lines = follow(system, command)
            print("\n".join(f"  | {line}" for line in lines[-TAIL:]))
            print(f"fresh: {command}: exit {status} after {time.monotonic() - started:.0f} s", flush=True)
            good = good and status == 0
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
