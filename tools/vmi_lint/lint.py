# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Lints files: objects, archives, executables."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import archive, debug, decode, elf, redzone, selector, stores
from .allow import Entry
from .code import Gap, Hit, Walk
from .elf import Image, Symbol
from .owner import Owners
from .problems import InputError
from .rules import ENTERING, HINT, RED_ZONE, SELECTOR, UNDECODED, UNKNOWN, Rule, Rules

_OF_THE_RING = frozenset(f"{how} {register}" for how in ("mov from", "push") for register in ("cs", "ss"))


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
    library: bool
    """In the code of the library that a kernel is linked with."""

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

    allow_unknown: bool = False
    findings: list[Finding] = field(default_factory=list)
    selectors: list[Finding] = field(default_factory=list)
    entries: list[Finding] = field(default_factory=list)
    """Ways into the kernel, in user programs."""
    hints: list[Finding] = field(default_factory=list)
    no_hints: list[str] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    stripped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    objects: int = 0
    code: int = 0

    @property
    def left(self) -> list[Finding]:
        """Findings that count: not in a library's code, and not allowed."""
        return [finding for finding in self.findings if self._counts(finding)]

    @property
    def library(self) -> list[Finding]:
        """Findings in a library's code."""
        return [finding for finding in self.findings if finding.library]

    def _counts(self, finding: Finding) -> bool:
        passed = self.allow_unknown and finding.rule.kind == UNKNOWN
        return finding.allowed is None and not finding.library and not passed

    @property
    def all(self) -> list[Finding]:
        """Everything, in the order in which it is told."""
        return [*self.findings, *self.selectors, *self.entries, *self.hints]


@dataclass(frozen=True)
class Options:
    """What is asked for: see `vmi lint --help`."""

    user: bool = False
    allow_unknown: bool = False
    hints: str = "auto"
    types: tuple[tuple[str, str], ...] = ()


def lint(paths: list[Path], rules: Rules, allowed: list[Entry], options: Options) -> Result:
    """Lints all files; those that cannot be read are noted, and the others linted all the same."""
    result = Result(allow_unknown=options.allow_unknown)
    for path in paths:
        try:
            for member, data in _objects(path, result):
                try:
                    _Linter(path, member, rules, allowed, options, result).run(data)
                except InputError as error:
                    result.problems.append(str(error))
        except InputError as error:
            result.problems.append(str(error))
    return result


def _objects(path: Path, result: Result) -> Iterator[tuple[str | None, bytes]]:
    """The ELF files in a file.

    A member of an archive that is no code (a text, a table of contents) is not the linter's; one that is, and
    cannot be read, is a problem.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the file ({error.strerror})") from None
    if archive.is_archive(data):
        any_code = False
        for name, content in archive.members(path, data):
            other = archive.other_code(content)
            if content.startswith(elf.MAGIC):
                yield name, content
            elif other:
                result.problems.append(f"{path}({name}): {other}")
            any_code |= content.startswith(elf.MAGIC) or bool(other)
        if not any_code:
            raise InputError(f"{path}: no object is in the archive")
    elif data.startswith(elf.MAGIC):
        yield None, data
    else:
        raise InputError(
            f"{path}: {archive.other_code(data) or 'neither an ELF file nor an archive of them'}"
        )


class _Linter:
    """Lints one object."""

    def __init__(
        self,
        path: Path,
        member: str | None,
        rules: Rules,
        allowed: list[Entry],
        options: Options,
        result: Result,
    ) -> None:
        self._path = path
        self._member = member
        self._name = f"{path}({member})" if member else str(path)
        self._files = (str(path), path.name, *((member, Path(member).name) if member else ()))
        self._rules = rules
        self._allowed = allowed
        self._options = options
        self._result = result

    def run(self, data: bytes) -> None:
        """Adds what is found to the result."""
        image = elf.load(self._name, data)
        walk = Walk(image)
        walk.run()
        result = self._result
        result.objects += 1
        result.code += walk.decoded()
        if image.stripped and image.sections:
            result.stripped.append(self._name)
        found: list[tuple[int, int, Rule, str]] = []
        printer = decode.decoder(image.bits, att=True)
        for hit in walk.hits.values():
            rule = self._rules.by_name.get(_named(image, hit))
            if rule:
                code = _code(image, hit.address, hit.size)
                found.append(
                    (hit.address, hit.size, rule, decode.text(printer, code, hit.address, image.bits))
                )
        for gap in walk.gaps():
            if gap.inside:
                found.append((gap.address, gap.size, UNDECODED, _gap_text(image, gap)))
            else:
                result.unknown.append(_unknown(image, self._name, gap))
        # User programs have that memory to themselves.
        if image.bits == 64 and not self._options.user:
            for at, size, *_ in redzone.find(walk):
                code = _code(image, at, size)
                found.append((at, size, RED_ZONE, decode.text(printer, code, at, image.bits)))
        if self._look_for_stores(image):
            for store in stores.find(image, stores.Names(self._options.types)):
                code = _code(image, store.address, store.size)
                text = f"{decode.text(printer, code, store.address, image.bits)} to {store.what}"
                found.append((store.address, store.size, stores.rule(store.kind, self._rules), text))
        self._report(image, sorted(found, key=lambda item: item[0]))

    def _look_for_stores(self, image: Image) -> bool:
        part = image.elf.get_section_by_name(".debug_info")
        if self._options.hints == "never" or part is None:
            return False
        if self._options.hints == "auto" and part.data_size > stores.MANY:
            self._result.no_hints.append(self._name)
            return False
        return True

    def _report(self, image: Image, found: list[tuple[int, int, Rule, str]]) -> None:
        sources = debug.find(image.elf, (address for address, *_ in found))
        owners = Owners(image)
        symbols = _symbols(image, [address for address, *_ in found])
        for address, size, rule, text in found:
            symbol = symbols[address]
            finding = self._finding(
                image, address, size, rule, text, symbol, sources.get(address), owners.is_library(symbol)
            )
            self._list_of(rule).append(finding)

    def _list_of(self, rule: Rule) -> list[Finding]:
        result = self._result
        if rule.kind == SELECTOR:
            return result.selectors
        if rule.kind == HINT:
            return result.hints
        return result.entries if self._options.user and rule.name in ENTERING else result.findings

    def _finding(
        self,
        image: Image,
        address: int,
        size: int,
        rule: Rule,
        text: str,
        symbol: Symbol | None,
        source: debug.Source | None,
        library: bool,
    ) -> Finding:
        section = image.section(address)
        assert section
        name = symbol.name if symbol else ""
        entry = None
        if not library:
            entry = next((e for e in self._allowed if e.matches(name, rule.name, self._files)), None)
        if entry:
            entry.used += 1
        return Finding(
            str(self._path),
            self._member,
            section.name,
            address - section.origin,
            not image.relocatable,
            symbol.name if symbol else None,
            address - symbol.address if symbol else 0,
            rule,
            text,
            _code(image, address, size),
            source,
            entry,
            library,
        )


def _code(image: Image, address: int, size: int) -> bytes:
    section = image.section(address)
    assert section
    return section.data[address - section.address : address - section.address + size]


def _named(image: Image, hit: Hit) -> str:
    """The instruction's name, which may depend on what follows."""
    if hit.name in _OF_THE_RING and selector.only(hit.name, image.bits, _code(image, hit.address, 128)):
        return decode.copied(hit.name[-2:])
    return hit.name


def _gap_text(image: Image, gap: Gap) -> str:
    count = f"{gap.size} byte{'' if gap.size == 1 else 's'}"
    at = gap.address if gap.undecoded is None else gap.undecoded
    shown = _code(image, at, min(8, gap.address + gap.size - at)).hex(" ")
    if gap.undecoded is None:
        return f"{count} that nothing leads to, from {shown}"
    return f"{count}; the decoder does not know {shown}"


def _symbols(image: Image, addresses: list[int]) -> dict[int, Symbol | None]:
    """The function that each address lies in, else the label before it; addresses are in order."""
    found: dict[int, Symbol | None] = {}
    symbols = image.symbols
    starts = sorted({symbol.address for symbol in symbols if symbol.kind == "function"})
    around: list[tuple[int, Symbol]] = []
    label = None
    i = 0
    for address in addresses:
        section = image.section(address)
        assert section
        while i < len(symbols) and symbols[i].address <= address:
            symbol = symbols[i]
            i += 1
            if symbol.kind == "label" and (label is None or label.address != symbol.address):
                label = symbol
            elif symbol.kind == "function" and not (around and around[-1][1].address == symbol.address):
                # Of several names of one address the first is taken, as everywhere. One without a size ends
                # at the next function.
                after = bisect.bisect_right(starts, symbol.address)
                end = symbol.address + symbol.size
                if not symbol.size:
                    end = starts[after] if after < len(starts) else 1 << 64
                around.append((end, symbol))
        while around and around[-1][0] <= address:
            around.pop()
        nearest = around[-1][1] if around else label
        found[address] = nearest if nearest and nearest.address >= section.address else None
    return found


def _unknown(image: Image, name: str, gap: Gap) -> Unknown:
    section = image.section(gap.address)
    assert section
    return Unknown(name, section.name, gap.address - section.origin, gap.size)
