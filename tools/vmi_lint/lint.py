# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Lints files: objects, archives, executables."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import capstone

from . import archive, debug, decode, elf
from .allow import Entry
from .code import Gap, Hit, Walk
from .elf import Image, Section, Symbol
from .problems import InputError
from .rules import SELECTOR, Rule, Rules


@dataclass(frozen=True)
class Finding:
    """A sensitive instruction and everything that is known of its place."""

    file: str
    member: str | None
    section: str
    offset: int
    linked: bool
    symbol: str | None
    symbol_offset: int
    rule: Rule
    text: str
    code: bytes
    source: debug.Source | None
    allowed: Entry | None

    @property
    def object(self) -> str:
        """What messages call the object: `libfoo.a(bar.o)`."""
        return f"{self.file}({self.member})" if self.member else self.file

    @property
    def where(self) -> str:
        """The place in words: `set_root+0x4, .text+0x14`, or with its address where the file is linked."""
        place = f"{self.offset:#x}" if self.linked else f"{self.section}+{self.offset:#x}"
        if self.symbol is None:
            return place
        inside = f"+{self.symbol_offset:#x}" if self.symbol_offset else ""
        return f"{self.symbol}{inside}, {place}"


@dataclass(frozen=True)
class Unknown:
    """Bytes in a code section that nothing says are code."""

    object: str
    section: str
    offset: int
    size: int

    @property
    def text(self) -> str:
        """What there is to say."""
        what = f"{self.size} byte{'' if self.size == 1 else 's'} at {self.section}+{self.offset:#x}"
        return f"{what} could not be told from data"


@dataclass
class Result:
    """What was found in all files."""

    findings: list[Finding] = field(default_factory=list)
    selectors: list[Finding] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    stripped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    objects: int = 0
    code: int = 0

    @property
    def left(self) -> list[Finding]:
        """Findings that no entry of the allow-list lets pass."""
        return [finding for finding in self.findings if finding.allowed is None]


def lint(paths: list[Path], rules: Rules, allowed: list[Entry]) -> Result:
    """Lints all files; those that cannot be read are noted, and the others linted all the same."""
    result = Result()
    for path in paths:
        try:
            for member, data in _objects(path):
                _lint(path, member, data, rules, allowed, result)
        except InputError as error:
            result.problems.append(str(error))
    return result


def _objects(path: Path) -> Iterator[tuple[str | None, bytes]]:
    """The ELF files in a file; a member of an archive that is no ELF file is not the linter's."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the file ({error.strerror})") from None
    if archive.is_archive(data):
        for name, content in archive.members(path, data):
            if content.startswith(elf.MAGIC):
                yield name, content
    elif data.startswith(elf.MAGIC):
        yield None, data
    else:
        raise InputError(f"{path}: neither an ELF file nor an archive of them")


def _lint(
    path: Path, member: str | None, data: bytes, rules: Rules, allowed: list[Entry], result: Result
) -> None:
    name = f"{path}({member})" if member else str(path)
    image = elf.load(name, data)
    walk = Walk(image)
    walk.run()
    result.objects += 1
    result.code += walk.decoded()
    if image.stripped and image.sections:
        result.stripped.append(name)
    result.unknown += [_unknown(image, name, gap) for gap in walk.gaps()]
    hits = [hit for _, hit in sorted(walk.hits.items()) if hit.name in rules.by_name]
    sources = debug.find(image.elf, (hit.address for hit in hits))
    printer = decode.decoder(image.bits, att=True)
    files = (str(path), path.name, *((member, Path(member).name) if member else ()))
    for hit in hits:
        finding = _finding(image, path, member, hit, rules, sources.get(hit.address), printer, allowed, files)
        (result.selectors if finding.rule.kind == SELECTOR else result.findings).append(finding)


def _finding(
    image: Image,
    path: Path,
    member: str | None,
    hit: Hit,
    rules: Rules,
    source: debug.Source | None,
    printer: capstone.Cs,
    allowed: list[Entry],
    files: tuple[str, ...],
) -> Finding:
    section = image.section(hit.address)
    assert section
    start = hit.address - section.address
    code = section.data[start : start + hit.size]
    symbol = _symbol(image, section, hit.address)
    text = next((f"{mnemonic} {operands}".strip() for _, _, mnemonic, operands in
                 printer.disasm_lite(code, hit.address)), hit.name)  # fmt: skip
    entry = next((e for e in allowed if e.matches(symbol.name if symbol else "", hit.name, files)), None)
    if entry:
        entry.used += 1
    return Finding(
        str(path),
        member,
        section.name,
        hit.address - section.origin,
        not image.relocatable,
        symbol.name if symbol else None,
        hit.address - symbol.address if symbol else 0,
        rules.by_name[hit.name],
        text,
        code,
        source,
        entry,
    )


def _symbol(image: Image, section: Section, address: int) -> Symbol | None:
    """The function that an address lies in, else the label before it."""
    symbols = image.symbols
    i = bisect.bisect_right(symbols, address, key=lambda symbol: symbol.address) - 1
    label = None
    while i >= 0 and symbols[i].address >= section.address:
        symbol = symbols[i]
        if symbol.kind == "function" and (not symbol.size or address < symbol.address + symbol.size):
            # Of several names of one address the first is taken, as everywhere.
            while i and symbols[i - 1].address == symbol.address:
                i -= 1
            return symbols[i]
        if symbol.kind == "label" and label is None:
            label = symbol
        if symbol.kind == "function" and label is not None:
            break
        i -= 1
    return label


def _unknown(image: Image, name: str, gap: Gap) -> Unknown:
    section = image.section(gap.address)
    assert section
    return Unknown(name, section.name, gap.address - section.origin, gap.size)
