# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a tiny guest finds out about a machine before a rig is built on it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from .cache import kept
from .util import UserError, cache_dir, locked, progress, tied

Done = subprocess.CompletedProcess[str]


def ask(
    source: Path, machine: Sequence[str], seconds: float, depends: str, words: Callable[[Done | None], str]
) -> str:
    """Boot a multiboot kernel of one assembly file in QEMU (`machine`: the command without -kernel) and
    say what came of it by `words`, which gets None if the guest has not ended in time.

    The answer is kept under the source, the command and `depends`: what else it depends on.
    """
    command = [*machine, "-kernel"]
    key = hashlib.sha256("\0".join([source.read_text(), depends, *command]).encode()).hexdigest()[:16]
    name = f"{source.stem}-{key}"

    def make(folder: Path) -> None:
        guest = folder.parent / f"{source.stem}.elf"
        (folder / "answer").write_text(_ask(source, command, seconds, guest, words))

    with locked(cache_dir() / "probes" / f"{name}.lock"):
        return (kept(cache_dir() / "probes" / f"{name}.answer", make, progress) / "answer").read_text()


def _ask(
    source: Path, command: Sequence[str], seconds: float, guest: Path, words: Callable[[Done | None], str]
) -> str:
    try:
        subprocess.run(
            ["gcc", "-m32", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x101000,--build-id=none",
             "-Wl,--section-start=.multiboot=0x100000", "-o", guest, source],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"cannot build {source.name}: {error}") from None
    # subprocess kills with SIGKILL at the time-out, which ends even a guest that never leaves KVM_RUN.
    try:
        done = subprocess.run(
            [*command, guest], capture_output=True, text=True, timeout=seconds, check=False,
            preexec_fn=tied(),
        )  # fmt: skip
        return words(done)
    except subprocess.TimeoutExpired:
        return words(None)
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not found; ./vmi setup installs it") from None
    finally:
        guest.unlink()
