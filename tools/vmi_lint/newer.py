# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Instructions that Capstone does not know, or names wrongly.

Capstone 5 knows no instruction that came after about 2019, and passes over a prefix that makes another
instruction of known bytes (SEAMCALL is ENCLS with a prefix of 66). Here are those that matter to a kernel,
with the opcodes of the Intel SDM vol. 2 and 3C, the Intel architecture instruction set extensions reference,
the FRED and TDX module specifications and the AMD64 APM vol. 3. Vector instructions have names by their
coding alone (VEX, EVEX): all of them may be used in any ring but the two that access model-specific
registers.
"""

from __future__ import annotations

from dataclasses import dataclass

# Mandatory prefix (np: none of 66, f2 and f3), opcode, what follows, mnemonic. What follows: `/r` a ModRM
# byte, `/m` one of memory, `/N` one whose middle field is N, `/Nr` the same with a register; `ib` a byte.
_TABLE = """
    np 0f01e8   -    serialize
    np 0f01fe   -    invlpgb
    np 0f01ff   -    tlbsync
    f2 0f01fe   -    rmpupdate
    f3 0f01fe   -    rmpadjust
    f3 0f01ff   -    psmash
    f2 0f01ff   -    pvalidate
    f3 0f01fd   -    rmpquery
    f2 0f01fd   -    rmpread
    np 0f01fd   -    rdpru
    f3 0f01fa   -    mcommit
    66 0f01cc   -    tdcall
    66 0f01cd   -    seamret
    66 0f01ce   -    seamops
    66 0f01cf   -    seamcall
    f2 0f01ca   -    erets
    f3 0f01ca   -    eretu
    f2 0f00     /6   lkgs
    np 0f01c6   -    wrmsrns
    f2 0f01c6   -    rdmsrlist
    f3 0f01c6   -    wrmsrlist
    np 0f01c7   -    pbndkb
    f2 0f38f8   /m   enqcmd
    f3 0f38f8   /m   enqcmds
    f3 0f3af0c0 ib   hreset
    f3 0f38dc   /reg loadiwkey
    f3 0f38dc   /m   aesenc128kl
    f3 0f38dd   /m   aesdec128kl
    f3 0f38de   /m   aesenc256kl
    f3 0f38df   /m   aesdec256kl
    f3 0f38d8   /m   aeswidekl
    f3 0f38fa   /reg encodekey128
    f3 0f38fb   /reg encodekey256
    f3 0f01ec   -    uiret
    f3 0f01ed   -    testui
    f3 0f01ee   -    clui
    f3 0f01ef   -    stui
    f3 0fc7     /6r  senduipi
    f2 0f01e8   -    xsusldtrk
    f2 0f01e9   -    xresldtrk
    np 0f38fc   /m   aadd
    66 0f38fc   /m   aand
    f2 0f38fc   /m   aor
    f3 0f38fc   /m   axor
    np 0fb9     /r   ud1
    66 0fb9     /r   ud1
    np 0fff     /r   ud0
"""
SENSITIVE = (
    *("invlpgb", "tlbsync", "rmpupdate", "rmpadjust", "psmash", "pvalidate", "rmpquery", "rmpread", "rdpru"),
    *(
        "tdcall",
        "seamret",
        "seamops",
        "seamcall",
        "erets",
        "eretu",
        "lkgs",
        "wrmsrns",
        "rdmsrlist",
        "wrmsrlist",
    ),
    *("pbndkb", "enqcmd", "enqcmds", "hreset", "loadiwkey"),
)
"""Those of the table that are for the specification."""
MISREAD = frozenset(("clac", "rdpkru", "wrpkru", "monitorx", "encls", "ud0", "ud1", "ud2"))
"""What Capstone says where it may be one of the table, or a forced emulation prefix."""
VECTOR = "vector"
"""The mnemonic of all that is coded by VEX or EVEX."""
FORCED = 5
"""Bytes of a forced emulation prefix."""
# Xen: XEN_EMULATE_PREFIX in public/arch-x86/xen.h; KVM: KVM_EMULATE_PREFIX, handle_ud() in
# arch/x86/kvm/x86.c.
_FORCING = (b"\x0f\x0bxen", b"\x0f\x0bkvm")

_PREFIXES = frozenset(b"\x66\x67\xf0\xf2\xf3\x2e\x36\x3e\x26\x64\x65")
# Opcodes of VEX's and EVEX's map 1 (0f) with an immediate byte; in map 3 (0f3a) all have one.
_IMMEDIATES = frozenset(b"\x70\x71\x72\x73\xc2\xc4\xc5\xc6")


def _read_table() -> dict[tuple[str, bytes], list[tuple[str, str]]]:
    found: dict[tuple[str, bytes], list[tuple[str, str]]] = {}
    for line in _TABLE.split("\n"):
        if line.strip():
            prefix, opcode, behind, mnemonic = line.split()
            found.setdefault((prefix, bytes.fromhex(opcode)), []).append((behind, mnemonic))
    return found


_KNOWN = _read_table()


@dataclass(frozen=True)
class Read:
    """What stands at some place; with `forced`, a prefix that is one instruction with what follows it."""

    size: int
    mnemonic: str
    operands: str = ""
    forced: bool = False


def read(code: bytes, bits: int) -> Read | None:
    """The instruction at the start of the bytes, if it is one that Capstone does not know."""
    if code.startswith(_FORCING):
        return Read(FORCED, "", forced=True)
    at = 0
    prefixes = set()
    while at < len(code) and code[at] in _PREFIXES:
        prefixes.add(code[at])
        at += 1
    wide = at < len(code) and bits == 64 and code[at] & 0xF0 == 0x40
    at += wide
    short = bits == 32 and 0x67 in prefixes
    found = None
    if not wide and not prefixes & {0x66, 0xF0, 0xF2, 0xF3}:
        found = _vector(code, at, bits, short)
    if found is None and 0xF0 in prefixes:
        found = _task_priority(code, at)
    if found is None:
        found = _by_table(code, at, prefixes, short)
    return found if found and found.size <= min(len(code), 15) else None


def _by_table(code: bytes, at: int, prefixes: set[int], short: bool) -> Read | None:
    repeat = next((f"{byte:02x}" for byte in (0xF2, 0xF3) if byte in prefixes), "")
    prefix = repeat or ("66" if 0x66 in prefixes else "np")
    for length in (2, 3, 4):
        for behind, mnemonic in _KNOWN.get((prefix, code[at : at + length]), ()):
            end = at + length
            if behind == "ib":
                return Read(end + 1, mnemonic)
            if behind == "-":
                return Read(end, mnemonic)
            if end < len(code) and _fits(behind[1:], code[end]):
                return Read(end + _modrm(code, end, short), mnemonic)
    return None


def _fits(behind: str, modrm: int) -> bool:
    register = modrm >= 0xC0
    if behind in ("r", "m", "reg"):
        return behind == "r" or register == (behind == "reg")
    return modrm >> 3 & 7 == int(behind[0]) and (register or not behind.endswith("r"))


def _modrm(code: bytes, at: int, short: bool) -> int:
    """Bytes of ModRM, SIB and displacement; `short` where addresses have 16 bits."""
    mode, base = code[at] >> 6, code[at] & 7
    if mode == 3:
        return 1
    if short:
        return 3 if mode == 2 or (mode == 0 and base == 6) else 1 + mode
    size = 1
    if base == 4:
        size = 2
        base = code[at + 1] & 7 if at + 1 < len(code) else 0
    return size + (4 if mode == 2 or (mode == 0 and base == 5) else mode)


def _task_priority(code: bytes, at: int) -> Read | None:
    """CR8 as AMD's processors have it without REX: LOCK MOV CR0 (AMD64 APM vol. 3, MOV CRn)."""
    if code[at : at + 2] not in (b"\x0f\x20", b"\x0f\x22") or at + 2 >= len(code) or code[at + 2] >> 3 & 7:
        return None
    register = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")[code[at + 2] & 7]
    operands = f"cr8, {register}" if code[at + 1] == 0x22 else f"{register}, cr8"
    return Read(at + 3, "mov", operands)


def _vector(code: bytes, at: int, bits: int, short: bool) -> Read | None:
    """Length of what is coded by VEX or EVEX."""
    head = code[at : at + 4]
    if len(head) < 4 or head[0] not in (0xC4, 0xC5, 0x62) or (bits == 32 and head[1] < 0xC0):
        return None
    if head[0] == 0xC5:
        number, payload, size = 1, head[1], 2
    elif head[0] == 0xC4:
        number, payload, size = head[1] & 0x1F, head[2], 3
    else:
        number, payload, size = head[1] & 7, head[2], 4
    if number not in ((1, 2, 3, 5, 6) if head[0] == 0x62 else (1, 2, 3, 7)):
        return None
    modrm = at + size + 1
    if modrm >= len(code):
        return None
    opcode = code[modrm - 1]
    end = modrm + _modrm(code, modrm, short)
    if number == 7:
        # RDMSR and WRMSRNS with the register's number as an immediate.
        mnemonic = {2: "wrmsrns", 3: "rdmsr"}.get(payload & 3) if opcode == 0xF6 else None
        return Read(end + 4, mnemonic) if mnemonic else None
    return Read(end + (number == 3 or (number == 1 and opcode in _IMMEDIATES)), VECTOR)
