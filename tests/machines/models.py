# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""QEMU's processor models from the Pentium III on, and how each is booted."""

from __future__ import annotations

import re
from pathlib import Path

from ci import machines
from ci.build import kernels
from ci.rig import Guest, Outcome
from ci.util import ARCHITECTURES

from ..guests import places

I386, X86_64 = ARCHITECTURES
MODELS = (
    "pentium3", "athlon", "coreduo", "n270", "core2duo", "Opteron_G1", "phenom", "Nehalem", "SandyBridge",
    "Opteron_G5", "Haswell", "Skylake-Client", "Denverton", "KnightsMill", "EPYC", "Cascadelake-Server",
    "Snowridge", "Icelake-Server", "EPYC-Milan", "SapphireRapids", "EPYC-Genoa", "max",
)  # fmt: skip
"""In about the order of their years; QEMU 7.2 does not have SapphireRapids and EPYC-Genoa. `max` has all that
the emulator can play."""
NARROW = ("pentium3", "athlon", "coreduo", "n270")
"""Those without long mode."""
FIRMWARE = "SeaBIOS"
NO_LONG_MODE = "the processor has no long mode, and this kernel is for x86-64"

DEADLINE = 240.0
_NO_MODEL = re.compile(r"unable to find CPU model|CPU definition .* not found")
_LACKS = re.compile(r"TCG doesn't support requested feature: (\S+?)(?: \[bit (\d+)\])?$", re.MULTILINE)


def lacking(said: str) -> list[str]:
    """Features of the model that QEMU says its emulator does not have, by their last names, sorted."""
    return sorted({found[1].rpartition(".")[2] for found in _LACKS.finditer(said)})


def _halted(line: str) -> bool:
    """A kernel for x86-64 knows no port for its status before it has long mode: it says why, and halts."""
    return line.startswith(machines.CANNOT_RUN) and line.endswith("; halted")


def boot(model: str, arch: str, logs: Path, tier: str) -> tuple[machines.Boot, Outcome]:
    """All checks of the sample kernel on that model, two CPUs; recorded."""
    place = places(arch)[0]
    place.rig.prepare()
    kernel = kernels("sample", arch)[place.backend]
    guest = Guest(kernel, f"{model}-{arch}", cpus=2, deadline=DEADLINE, options={"cpu": model})
    with place.rig.session(logs) as session:
        outcome = session.run(guest, _halted)
    said = "\n".join((outcome.end, *outcome.evidence.get("qemu", [])))
    if _NO_MODEL.search(said):
        verdict, words = "absent", "this QEMU has no such model"
    else:
        halted = any(map(_halted, outcome.console.splitlines()))
        verdict, words = machines.verdict(outcome.console, "refused") if halted else machines.judged(outcome)
        if verdict == "runs" and (without := lacking(said)):
            words += f"; the emulator lacks {', '.join(without)}"
    record = machines.Boot("pc", model, FIRMWARE, arch, verdict, words, machines.qemu(), tier=tier)
    return machines.record(record), outcome


def expected(model: str, arch: str) -> str:
    """The verdict that is right there."""
    return "refuses" if arch == X86_64 and model in NARROW else "runs"


def wrong(boot: machines.Boot) -> str:
    """What is not as it should be; empty if all is."""
    if boot.verdict == "absent":
        return ""
    if boot.verdict != (wanted := expected(boot.cpu, boot.architecture)):
        return f"expected {wanted}, found {boot.verdict}: {boot.words}"
    if wanted == "refuses" and boot.words != NO_LONG_MODE:
        return f"expected {NO_LONG_MODE!r}, found {boot.words!r}"
    return ""
