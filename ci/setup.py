# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi setup`: what the machine needs, installed only where it is missing.

Standard library only: it runs before anything is there.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from .status import Step, shown
from .util import ROOT, UserError, locked, progress

VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements.txt"
STAMP = VENV / "vmi-setup"
LOG = ROOT / "results/setup.log"

# A program in PATH, or a file (a shell pattern), and the package that brings it. No hypervisor and no
# kernel is among them: rigs unpack those into the cache.
SYSTEM = {
    "gcc": "gcc",
    "ld": "binutils",
    "g++": "g++",
    "clang": "clang",
    "ld.lld": "lld",
    "llvm-ar": "llvm",
    "i686-linux-gnu-gcc": "gcc-i686-linux-gnu",
    "shellcheck": "shellcheck",
    "gdb": "gdb",
    "git": "git",
    "xz": "xz-utils",
    "qemu-system-i386": "qemu-system-x86",
    "qemu-system-x86_64": "qemu-system-x86",
    "/usr/share/qemu/pvh.bin": "qemu-system-data",
    "/usr/share/seabios/bios-256k.bin": "seabios",
    "/usr/share/seabios/vgabios-stdvga.bin": "seabios",
    "/usr/include/xen/xen.h": "libxen-dev",
    "/usr/include/linux/kvm_para.h": "linux-libc-dev",
    "/usr/bin/python3": "python3",
    "/usr/share/python-wheels": "python3-venv",
}

PATIENCE = 600
"""Seconds that apt waits for another apt to end; two tests may need packages at once."""

# UEFI firmware for QEMU's PC.
FIRMWARE = {"/usr/share/ovmf/OVMF.fd": "ovmf"}

# What only the tests use.
FOR_TESTS = {
    **FIRMWARE,
    "/usr/bin/rustc": "rustc",
    "/usr/lib/rustlib/src/rust/library/core/src/lib.rs": "rust-src",
    "atftp": "atftp",
    "bindgen": "bindgen",
    "cargo": "cargo",
    "chromium": "chromium",
    "cmake": "cmake",
    "curl": "curl",
    "/usr/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a": "libclang-rt-dev",
    "dh": "debhelper",
    "dh_python3": "dh-python",
    "dpkg-buildpackage": "dpkg-dev",
    "lintian": "lintian",
    "make": "make",
    "mandoc": "mandoc",
    "pkg-config": "pkgconf",
    "tftp": "tftp-hpa",
    "xorriso": "xorriso",
}


def missing_packages(needs: Mapping[str, str] = SYSTEM) -> list[str]:
    """Packages for what is not on this machine."""
    wanted = set()
    for need, package in needs.items():
        if not (glob.glob(need) if need.startswith("/") else shutil.which(need)):
            wanted.add(package)
    return sorted(wanted)


def provide(needs: Mapping[str, str]) -> None:
    """Install what of this is missing: programs or files, each with the package that brings it."""
    packages = missing_packages(needs)
    if packages:
        install_system(packages)
        still = missing_packages(needs)
        if still:
            raise UserError(f"installed, but not found afterwards: {' '.join(still)}")


def logged(command: Sequence[str], what: str) -> str:
    """Run a package manager with all that it says in a log; what it said if it failed, else nothing."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with shown(Step("setup", what)), open(LOG, "a+", encoding="utf-8", errors="replace") as log:
        log.write(f"$ {shlex.join(command)}\n")
        log.flush()
        begin = log.tell()
        # sudo asks for its password at the terminal itself.
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
        log.seek(begin)
        return (log.read().strip() or f"exit status {status}") if status else ""


def failed(command: str, said: str) -> UserError:
    """An error of a package manager, with what it said."""
    return UserError(f"{command} failed:\n{said}\n(everything: {LOG.relative_to(ROOT)})")


def install_system(packages: list[str]) -> None:
    """Install Debian packages, as root or through sudo."""
    if not shutil.which("apt-get"):
        raise UserError(f"no apt-get here; install by other means: {' '.join(packages)}")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and not shutil.which("sudo"):
        raise UserError(f"as root: apt-get install --no-install-recommends {' '.join(packages)}")
    for line in textwrap.wrap(
        f"installing system packages{' (sudo asks for it)' if sudo else ''}: {' '.join(packages)}", 94,
        break_on_hyphens=False,
    ):  # fmt: skip
        progress(line)
    install = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
               "-o", f"DPkg::Lock::Timeout={PATIENCE}", "--no-install-recommends", *packages]  # fmt: skip
    # Package lists may be missing or older than the archive: refresh them once if it fails.
    if logged(install, "installing system packages"):
        progress("refreshing apt's package lists")
        logged([*sudo, "apt-get", "update", "-qq"], "refreshing apt's package lists")
        if said := logged(install, "installing system packages"):
            raise failed(f"apt-get install {' '.join(packages)}", said)


def install_python() -> None:
    """Make .venv with the pinned tools. Debian's Python is preferred: others may lack ensurepip."""
    pip = VENV / "bin/pip"
    if not pip.exists() or subprocess.run([VENV / "bin/python", "-c", ""], check=False).returncode:
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        progress(f"making .venv with {python}")
        if said := logged([python, "-m", "venv", "--clear", str(VENV)], "making .venv"):
            raise failed(f"{python} -m venv", said)
    count = sum(1 for line in REQUIREMENTS.read_text().splitlines() if line and line[0] != "#")
    progress(f"installing {count} Python packages into .venv (requirements.txt)")
    command = [str(pip), "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
    if said := logged(command, "installing Python packages"):
        raise failed("pip install -r requirements.txt", said)


def key() -> str:
    """What the stamp says when everything is in place."""
    source = Path(__file__).read_bytes() + REQUIREMENTS.read_bytes()
    return hashlib.sha256(source).hexdigest()


def is_current() -> bool:
    return STAMP.is_file() and STAMP.read_text() == key()


def setup(force: bool = False, tests: bool = False) -> None:
    """Bring the machine to where every command works, and with `tests` the tests as well; quick when it
    already is."""
    force = force or (tests and bool(missing_packages({**SYSTEM, **FOR_TESTS})))
    if is_current() and not force:
        return
    with locked(ROOT / ".git/vmi-setup.lock" if (ROOT / ".git").is_dir() else ROOT / ".vmi-setup.lock"):
        if is_current() and not force:
            return
        provide({**SYSTEM, **(FOR_TESTS if tests else {})})
        install_python()
        STAMP.write_text(key())
        progress("set up")
