# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Which checks show a call: those of the kernels' lists (`{"group.name", function}`) whose function makes it,
itself or by other functions of its file, of an architecture or of what checks share, and boots that end by it
(option `end=`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_FUNCTION = re.compile(r"^(?:static )?[\w *]+?\b(\w+)\([^;{]*\)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_LIST = re.compile(r'\{"([a-z]\w*\.\w+)", (\w+)\}')
_CALL = re.compile(r"\bvmi_(\w+)\(")
_END = re.compile(r'option_is\("end", "(\w+)"\)\)\s*vmi_(\w+)\(')
_PROBE = re.compile(r"^probe_(\w+):", re.MULTILINE)


def sources() -> list[Path]:
    """The files that are read."""
    kernels = [*(ROOT / "sample_kernel").glob("**/checks_*.c"), *(ROOT / "conformance").glob("**/*.[cS]")]
    return sorted(kernels)


def _common() -> dict[str, str]:
    """Functions that checks of several files call, and those that each architecture of the sample kernel has
    of its own, by name, bodies joined."""
    found: dict[str, str] = {}
    kernel = ROOT / "sample_kernel"
    for path in (kernel / "first_device.c", *sorted(kernel.glob("arch/*/*.[ch]"))):
        for name, body in _FUNCTION.findall(path.read_text()):
            found[name] = found.get(name, "") + body
    return found


def _made(name: str, bodies: dict[str, str], seen: set[str]) -> Iterator[str]:
    """Calls that a function makes, and those that it leads to."""
    seen.add(name)
    yield from _CALL.findall(bodies[name])
    for word in dict.fromkeys(re.findall(r"\w+", bodies[name])):
        if word in bodies and word not in seen:
            yield from _made(word, bodies, seen)


def checks_by_symbol() -> dict[str, list[str]]:
    """Names of checks by the call's symbol; `contract` and `matrix` stand for the generated checks of a call
    whose probe is written by hand."""
    found: dict[str, list[str]] = {}
    common = _common()
    for path in sources():
        text = path.read_text()
        pairs = [(symbol, kind) for symbol in _PROBE.findall(text) for kind in ("contract", "matrix")]
        pairs += [(symbol, f"end={end}") for end, symbol in _END.findall(text)]
        bodies = {**common, **dict(_FUNCTION.findall(text))}
        for check, function in _LIST.findall(text):
            pairs += [(symbol, check) for symbol in _made(function, bodies, set())]
        for symbol, check in pairs:
            if check not in found.setdefault(symbol, []):
                found[symbol].append(check)
    return found
