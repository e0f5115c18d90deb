# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The target that kernels are compiled for, as a file for the compiler at hand.

The format belongs to the compiler's version (numbers that were strings, keys that came and went), and so does
LLVM's data layout. So the file is made from what this compiler prints of a target of its own, and only what
a kernel needs is changed: no register of SSE, MMX or the x87, no red zone, fixed addresses, no unwinding.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .toolchain import RustError, ask

KEPT = (
    "arch",
    "data-layout",
    "target-pointer-width",
    "max-atomic-width",
    "target-c-int-width",
    "target-endian",
)
"""What is taken over from the compiler's own target."""


@dataclass(frozen=True)
class Target:
    """What an architecture's target is made from."""

    name: str
    base: str
    llvm: str
    cpu: str
    more: dict[str, Any] = field(default_factory=dict)


TARGETS = {
    "i386": Target("i686-vmi", "i686-unknown-linux-gnu", "i686-unknown-none-elf", "i686"),
    # Kernels are linked at -2 GiB, where addresses are 32 bits with a sign.
    "x86_64": Target(
        "x86_64-vmi",
        "x86_64-unknown-linux-gnu",
        "x86_64-unknown-none-elf",
        "x86-64",
        {"code-model": "kernel"},
    ),
}
"""By the specification's names of architectures; another one is a line here."""

COMMON: dict[str, Any] = {
    "os": "none",
    "features": "-mmx,-sse,-sse2,-sse3,-ssse3,-sse4.1,-sse4.2,-avx,-avx2,+soft-float",
    "disable-redzone": True,
    "panic-strategy": "abort",
    "relocation-model": "static",
    "linker": "cc",
    "stack-probes": {"kind": "none"},
}

SOFT_FLOAT = "x86_64-unknown-none"
"""A target of the compiler's own without floating-point registers: later compilers want to be told so by a
key of its own, whose value has changed."""


def _printed(rustc: str, name: str) -> dict[str, Any]:
    text = ask(rustc, "-Zunstable-options", "--print", "target-spec-json", "--target", name)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RustError(f"{rustc} does not print its target {name} (--print target-spec-json)")
    return found


def render(rustc: str, arch: str) -> str:
    """The target file of an architecture for this compiler."""
    target = TARGETS[arch]
    base = _printed(rustc, target.base)
    spec = {key: base[key] for key in KEPT if key in base}
    spec |= {**COMMON, "llvm-target": target.llvm, "cpu": target.cpu, **target.more}
    abi = _printed(rustc, SOFT_FLOAT).get("rustc-abi")
    if abi:
        spec["rustc-abi"] = abi
    return json.dumps(spec, indent=4, sort_keys=True) + "\n"
