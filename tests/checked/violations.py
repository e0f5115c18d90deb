# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The violations of violations.c as violations.yaml lists them, the kernel that makes them, and what its
console says of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

from ci.build import tree
from ci.util import ROOT
from tests.flavour.test_flavour import COMPILE, FREESTANDING, call

STORE = "a store"
HERE = Path(__file__).resolve().parent
_NUMBER = re.compile(r" 0x[0-9a-f]+")


@dataclass(frozen=True)
class Violation:
    """An entry of violations.yaml, where the fields are explained."""

    name: str
    call: str
    """STORE, where no call breaks the rule."""
    rule: str
    what: str
    found: Mapping[str, str]
    """By architecture."""
    architectures: Sequence[str]
    alone: bool
    sees: Sequence[str]
    needed_by: str


@cache
def listed() -> tuple[Violation, ...]:
    """All of them, in the file's order."""
    found = YAML(typ="safe", pure=True).load(HERE / "violations.yaml")
    violations = []
    for name, each in found.items():
        only = [each["only"]] if "only" in each else list(COMPILE)
        said = each["found"] if isinstance(each["found"], dict) else dict.fromkeys(only, each["found"])
        violations.append(
            Violation(
                name, each["call"], each["rule"], each["what"], said, only, each.get("alone", False),
                each.get("sees", []), each.get("else", ""),
            )
        )  # fmt: skip
    return tuple(violations)


def of(arch: str) -> dict[str, Violation]:
    return {each.name: each for each in listed() if arch in each.architectures}


def linked(arch: str, library: str, kernel: Path) -> Path:
    """The kernel of violations.c, linked with one of the build's libraries."""
    build = tree(arch)
    compiled = kernel.with_suffix(".o")
    call("gcc", *COMPILE[arch], *FREESTANDING, "-g", f"-I{build / 'include'}", "-c", HERE / "violations.c",
         "-o", compiled)  # fmt: skip
    script = ROOT / "runtime/arch" / arch / "kernel.ld"
    call(
        "gcc", COMPILE[arch][0], "-nostdlib", "-static", "-Wl,-no-pie", "-Wl,--build-id=none",
        "-Wl,-z,noexecstack", f"-Wl,-T,{script}", compiled, build / f"backends/libvmi-{library}.a",
        "-o", kernel,
    )  # fmt: skip
    return kernel


def parts(console: str) -> dict[str, str]:
    """What the console says of each case that was begun."""
    split = re.split(r"^# case (\w+)\s*$", console, flags=re.MULTILINE)
    return dict(zip(split[1::2], split[2::2], strict=True))


def seen(text: str) -> list[str]:
    """What the kernel has seen of a case."""
    return [words.strip() for words in re.findall(r"^# sees (.+)$", text, re.MULTILINE)]


def messages(text: str) -> list[tuple[str, str, str]]:
    """The call, or STORE, the rule, and what was found, without numbers, of each message of the flavour's."""
    said = re.findall(r"^# checked: ([\w ]+) breaks (\w+): .*\n# checked:   found: (.+)$", text, re.MULTILINE)
    return [(name, rule, _NUMBER.sub("", found).strip()) for name, rule, found in said]
