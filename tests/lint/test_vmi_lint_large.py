# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Large inputs: what the linter does grows as they do. It is counted, in steps of Python's interpreter."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import vmi_lint
from lint_runs import Build
from vmi_lint import code, rules
from vmi_lint.lint import Options, lint

SOURCES = str(Path(vmi_lint.__file__).parent)
BASE = 0x400000
FEW, MORE = 40, 400
"""Of what an input has many of: so many, then twice and four times as many."""
MOST = 2.5
"""How much more the second doubling may add than the first: 2 where each one costs the same, 4 where each
costs as much as there are."""
NOTYPE, OBJECT, FUNCTION, FILE = 0, 1, 2, 4
"""Types of symbols (System V ABI, "Symbol Table")."""
LOCAL, GLOBAL = 0, 1
TEXT, ABSOLUTE = 1, 0xFFF1

Entry = tuple[str, int, int, int, int]
"""Name, binding, type, value and size of a symbol."""


def executable(text: bytes, symbols: Sequence[Entry]) -> bytes:
    """A linked x86-64 file of one section of code and these symbols."""
    names = bytearray(b"\0.text\0.symtab\0.strtab\0")
    table = bytearray(24)
    for name, binding, kind, value, size in symbols:
        section = ABSOLUTE if kind == FILE else TEXT
        table += struct.pack("<IBBHQQ", len(names), binding << 4 | kind, 0, section, value, size)
        names += name.encode() + b"\0"
    parts = [text, bytes(table), bytes(names)]
    places = [64 + sum(len(part) for part in parts[:i]) for i in range(4)]
    one = sum(each[1] == LOCAL for each in symbols) + 1
    headers = [
        (0,) * 10,
        (1, 1, 6, BASE, places[0], len(text), 0, 0, 16, 0),
        (7, 2, 0, 0, places[1], len(table), 3, one, 8, 24),
        (15, 3, 0, 0, places[2], len(names), 0, 0, 1, 0),
    ]
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE, 0, places[3], 0, 64, 56, 0, 64, 4, 3)
    return head + b"".join(parts) + b"".join(struct.pack("<IIQQQQIIQQ", *each) for each in headers)


def at_one_address(kind: int) -> Callable[[int], bytes]:
    def made(many: int) -> bytes:
        text = b"\xfa\xc3" + bytes(14)
        return executable(text, [(f"s{i}", GLOBAL, kind, BASE, 16) for i in range(many)])

    return made


def of_many_objects(many: int) -> bytes:
    """Local symbols at one address, each of an object of its own, and as many global ones there."""
    own = [(f"o{i}.c", LOCAL, FILE, 0, 0) for i in range(many)]
    symbols = [entry for each in own for entry in (each, ("local", LOCAL, FUNCTION, BASE, 2))]
    return executable(
        b"\xfa\xc3", [*symbols, *((f"vmi_{i}", GLOBAL, FUNCTION, BASE, 2) for i in range(many))]
    )


def functions(many: int) -> bytes:
    """Each calls the next one and has a sensitive instruction."""
    text = b"".join(b"\xe8\x0b\0\0\0\xfa\xc3".ljust(16, b"\xcc") for _ in range(many)) + b"\xc3"
    return executable(text, [(f"f{i}", GLOBAL, FUNCTION, BASE + 16 * i, 7) for i in range(many)])


def addresses(many: int) -> bytes:
    """Only the first piece of code has a name; each takes the address of the next one."""
    text = b"".join(
        b"\xb8" + struct.pack("<I", BASE + 16 * (i + 1)) + b"\xc3".ljust(11, b"\x90") for i in range(many)
    )
    return executable(text + b"\xfa\xc3", [("first", GLOBAL, FUNCTION, BASE, 6)])


def unknown(many: int) -> bytes:
    """A function full of what the decoder does not know, with a label behind each."""
    labels = [(f"l{i}", LOCAL, NOTYPE, BASE + 8 * (i + 1), 0) for i in range(many)]
    return executable(b"\x0f\x04\xfa".ljust(8, b"\x90") * many + b"\xc3", [
        *labels, ("f", GLOBAL, FUNCTION, BASE, 8 * many + 1)
    ])  # fmt: skip


def data(many: int) -> bytes:
    """Bytes that nobody leads to, between functions."""
    text = b"\xc3".ljust(8, b"\x06") * many
    return executable(text, [(f"f{i}", GLOBAL, FUNCTION, BASE + 8 * i, 1) for i in range(many)])


INPUTS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "functions at one address": (at_one_address(FUNCTION), FEW),
    "labels at one address": (at_one_address(NOTYPE), FEW),
    "data at one address": (at_one_address(OBJECT), FEW),
    "objects at one address": (of_many_objects, FEW),
    "functions": (functions, FEW),
    # Of these one costs much by itself.
    "addresses taken": (addresses, MORE),
    "unknown instructions": (unknown, FEW),
    "data between functions": (data, FEW),
}


def steps(run: Callable[[], object]) -> int:
    """What the linter's own code takes, and calls that it makes of others'."""
    counted = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal counted
        counted += 1
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return counted


def added(path: Path, file: Callable[[int], bytes], few: int = FEW) -> tuple[int, int]:
    """Steps that the first doubling of an input adds, and the second one."""
    known = rules.read(None)
    counts = []
    for many in (few, 2 * few, 4 * few):
        path.write_bytes(file(many))
        result: list[Any] = []
        counts.append(steps(lambda: result.append(lint([path], known, [], Options()))))  # noqa: B023
        assert result[0].objects == 1 and not result[0].problems
    return counts[1] - counts[0], counts[2] - counts[1]


@pytest.mark.parametrize("name", INPUTS)
def test_twice_as_much_is_twice_the_work(name: str, tmp_path: Path) -> None:
    first, second = added(tmp_path / "large", *INPUTS[name])
    assert first > FEW and second <= MOST * first


def test_lines_are_read_once(tmp_path: Path, build: Build) -> None:
    """Where decoding goes on at a line, again and again."""

    def file(many: int) -> bytes:
        source = ".type f, @function\nf:\n" + ".byte 0x0f, 0x04, 0xfa\nnop\n" * many
        return build(f"{source}ret\n.size f, . - f\n", 64, "-g").read_bytes()

    first, second = added(tmp_path / "large", file)
    assert first > FEW and second <= MOST * first


def test_data_is_marked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However many symbols say that it is there."""
    size, marked = 4096, 0
    mark = code.Walk._mark

    def counting(self: code.Walk, address: int, length: int, kind: int) -> None:
        nonlocal marked
        marked += length
        mark(self, address, length, kind)

    monkeypatch.setattr(code.Walk, "_mark", counting)
    path = tmp_path / "large"
    entries = [(f"d{i}", GLOBAL, OBJECT, BASE + i, size - i) for i in range(100)]
    path.write_bytes(executable(bytes(size), entries))
    lint([path], rules.read(None), [], Options())
    assert marked == size


def test_a_call_of_a_library_is_told_at_one_address(tmp_path: Path) -> None:
    """Local functions are the library's where all global names around them are, wherever those stand."""
    path = tmp_path / "kernel"
    for others, library in ((0, True), (1, False)):
        symbols = [
            ("o.c", LOCAL, FILE, 0, 0),
            ("inner", LOCAL, FUNCTION, BASE, 2),
            *((f"vmi_{i}", GLOBAL, FUNCTION, BASE, 2) for i in range(3)),
            *((f"kernel_{i}", GLOBAL, FUNCTION, BASE, 2) for i in range(others)),
        ]
        path.write_bytes(executable(b"\xfa\xc3", symbols))
        (finding,) = lint([path], rules.read(None), [], Options()).findings
        assert (finding.symbol, finding.library) == ("inner", library)
