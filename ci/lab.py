# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi lab`: a kernel on a machine of a laboratory, by a place of labgrid's coordinator (docs/lab.md).

The machine boots from the network: its DHCP server names `vmi.ipxe`, which is written here beside the kernel.
Its power and its serial console are what the place's exporter offers. Such a machine tells nothing of how it
ended, so the verdict is that of the kernel's KTAP alone.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
from labgrid import Environment
from labgrid.exceptions import InvalidConfigError, NoDriverFoundError, NoResourceFoundError
from labgrid.remote.client import Error as ClientError

from . import ktap
from .console import text
from .kernel import LINUX, MULTIBOOT, look
from .util import RESULTS, ROOT, UserError, progress, write_if_changed

if TYPE_CHECKING:
    from labgrid.protocol import ConsoleProtocol

ENVIRONMENT = ROOT / "docs/lab/environment.yaml"
SCRIPT = "vmi.ipxe"
KERNEL = "kernel.elf"


def stage(kernel: Path, folder: Path, append: str) -> None:
    """Put the kernel where the machine loads it from."""
    try:
        shutil.copyfile(kernel, folder / f".{KERNEL}")
        os.replace(folder / f".{KERNEL}", folder / KERNEL)
        write_if_changed(folder / SCRIPT, f"#!ipxe\nkernel {KERNEL} {append}".rstrip() + "\nboot\n")
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}", 2) from None


def listen(console: ConsoleProtocol, deadline: float) -> tuple[str, bool]:
    """The console up to the kernel's last line, and whether that came in time."""
    end = time.monotonic() + deadline
    seen, pending = "", b""
    while (left := end - time.monotonic()) > 0:
        try:
            pending += console.read(size=1, timeout=min(left, 1.0))
        except pexpect.TIMEOUT:
            continue
        while b"\n" in pending:
            line, _, pending = pending.partition(b"\n")
            print(text(line), flush=True)
            seen += text(line) + "\n"
            if seen.startswith("# result ") or "\n# result " in seen:
                return seen, True
    return seen + text(pending), False


def lab(place: str, kernel: Path, folder: Path, append: str, environment: Path, deadline: float) -> int:
    """Boot the kernel on the place's machine; 0 if all its tests passed."""
    look(kernel).check("iPXE", (MULTIBOOT, LINUX))
    stage(kernel, folder, append)
    os.environ["LG_PLACE"] = place
    try:
        target = Environment(str(environment)).get_target("main")
        power = target.get_driver("PowerProtocol")
        console = target.get_driver("ConsoleProtocol")
    except (ClientError, ConnectionError) as error:
        raise UserError(f"place {place}: {error}; docs/lab.md says what a place needs") from None
    except (NoResourceFoundError, NoDriverFoundError, InvalidConfigError, FileNotFoundError) as error:
        raise UserError(f"place {place}, {environment}: {error}") from None
    progress(f"{place}: power cycle")
    try:
        power.cycle()
        seen, ended = listen(console, deadline)
    finally:
        power.off()
    log = RESULTS / "lab" / f"{place}.console.log"
    write_if_changed(log, seen)
    failures = ktap.parse(seen).failures() if "KTAP version" in seen else ["no KTAP on the console"]
    if not ended:
        failures = [f"no result line in {deadline:g} s", *failures]
    for failure in failures:
        print(f"vmi: {place}: {failure}", file=sys.stderr)
    progress(f"{place}: {'FAILED' if failures else 'passed'}; console in {log.relative_to(ROOT)}")
    return 1 if failures else 0
