# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""From what the decoder prints to the names that the specification gives to instructions.

Capstone decodes. What it does not know, or takes for another instruction because it passes over a mandatory
prefix, is in `newer.py`.
"""

from __future__ import annotations

import capstone

from . import newer

_PLAIN = tuple(
    """
    lgdt lidt lldt ltr lmsw clts invd wbinvd wbnoinvd invlpg invpcid hlt monitor mwait rdmsr wrmsr
    xsetbv clac stac swapgs setssbsy clrssbsy encls enclv pconfig getsec rsm vmxon vmxoff vmptrld
    vmptrst vmclear vmread vmwrite vmlaunch vmresume invept invvpid vmrun vmload vmsave stgi clgi skinit
    invlpga cli sti sgdt sidt sldt str smsw lar lsl verr verw int sysenter syscall cpuid rdtsc rdtscp
    rdpmc vmcall vmmcall vmfunc insb insw outsb outsw lds les lfs lgs lss ljmp lcall
    int3 int1 into rdpid rdpkru wrpkru rdfsbase rdgsbase wrfsbase wrgsbase monitorx mwaitx
    """.split()  # noqa: SIM905
)
# Instructions whose name is the mnemonic, which may differ in what it says of the operand's width.
_SAME = {
    **dict(zip(_PLAIN, _PLAIN, strict=True)),
    "xsaves": "xsaves", "xsaves64": "xsaves", "xrstors": "xrstors", "xrstors64": "xrstors",
    "sysexit": "sysexit", "sysexitq": "sysexit", "sysret": "sysret", "sysretq": "sysret",
    "pushf": "pushf", "pushfd": "pushf", "pushfq": "pushf", "popf": "popf", "popfd": "popf", "popfq": "popf",
    "iret": "iret", "iretd": "iret", "iretq": "iret", "insd": "insl", "outsd": "outsl",
    "retf": "lret", "retfq": "lret", "wrussd": "wruss", "wrussq": "wruss",
    **{name: name for name in newer.SENSITIVE},
}  # fmt: skip
# Mnemonics of which some are sensitive, by their operands.
_BY_OPERANDS = frozenset(("mov", "push", "pop", "in", "out", "jmp", "call"))
_SEGMENTS = frozenset(("cs", "ds", "es", "fs", "gs", "ss"))
# What shows the ring: the others only hold what the kernel itself has loaded.
_OF_THE_RING = frozenset(("cs", "ss"))
_WIDTHS = {"al": "b", "ax": "w", "eax": "l"}


def decoder(bits: int, att: bool = False) -> capstone.Cs:
    """A decoder for 32-bit or 64-bit code."""
    made = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64 if bits == 64 else capstone.CS_MODE_32)
    if att:
        made.syntax = capstone.CS_OPT_SYNTAX_ATT
    return made


def may_be_named(mnemonic: str) -> bool:
    """Whether `name` is worth asking."""
    return mnemonic in _SAME or mnemonic in _BY_OPERANDS


def text(printer: capstone.Cs, code: bytes, address: int, bits: int) -> str:
    """An instruction in AT&T's syntax; `printer` is a decoder for that."""
    other = newer.read(code, bits)
    if other and other.forced:
        prefix = code[2 : newer.FORCED].decode("ascii")
        return f'ud2; .ascii "{prefix}"; {text(printer, code[newer.FORCED :], address + newer.FORCED, bits)}'
    if other:
        to, _, source = other.operands.partition(", ")
        return f"lock mov %{source}, %{to}" if to else other.mnemonic
    for _, _, mnemonic, operands in printer.disasm_lite(code, address, 1):
        return f"{mnemonic} {operands}".strip()
    return code.hex(" ")


def name(mnemonic: str, operands: str) -> str | None:
    """The name of a sensitive instruction, None for any other; without prefixes, in Intel's syntax."""
    same = _SAME.get(mnemonic)
    if same:
        return same
    if mnemonic == "mov":
        return _move(operands)
    if mnemonic in ("push", "pop"):
        if operands not in _SEGMENTS:
            return None
        if mnemonic == "pop":
            return "pop segment"
        return f"push {operands}" if operands in _OF_THE_RING else None
    if mnemonic == "in":
        return f"in{_WIDTHS.get(operands.partition(',')[0], 'l')}"
    if mnemonic == "out":
        port, _, register = operands.partition(", ")
        return "outb to 0x80" if (port, register) == ("0x80", "al") else f"out{_WIDTHS.get(register, 'l')}"
    if mnemonic in ("jmp", "call") and _far(operands):
        return f"l{mnemonic}"
    return None


def _far(operands: str) -> bool:
    """Whether an indirect branch takes a selector too: its operand has no width of an address."""
    return operands.startswith("ptr ")


def _move(operands: str) -> str | None:
    to, _, source = operands.rpartition(", ")
    for direction, register in (("to", to), ("from", source)):
        if register[1:2] == "r" and register[0] in "cd":
            return f"mov {direction} {register if register[0] == 'c' else 'dr'}"
    if to in _SEGMENTS:
        return "mov to segment"
    return f"mov from {source}" if source in _OF_THE_RING else None


def copied(register: str) -> str:
    """The name of `mov from` and `push` where the value only goes into another segment register."""
    return f"copy from {register}"


def names() -> set[str]:
    """Every name that `name` can give."""
    return {
        *_SAME.values(),
        *(f"mov {direction} cr{n}" for direction in ("to", "from") for n in (0, 2, 3, 4, 8)),
        *("mov to dr", "mov from dr", "mov to segment", "pop segment", "outb to 0x80"),
        *(f"{how} {register}" for how in ("mov from", "push") for register in _OF_THE_RING),
        *(copied(register) for register in _OF_THE_RING),
        *(f"{way}{width}" for way in ("in", "out") for width in _WIDTHS.values()),
    }
