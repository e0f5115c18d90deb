# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Where the value of CS or SS goes: into another segment register only, or to be looked at."""

from __future__ import annotations

import capstone

from . import decode

_FAR = 24
"""Instructions that are looked through."""
_ENDS = frozenset((capstone.CS_GRP_RET, capstone.CS_GRP_IRET, capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL))
_SEGMENTS = frozenset(("ds", "es", "fs", "gs", "ss"))


def only(name: str, bits: int, code: bytes) -> bool:
    """Whether the value of a `mov from` or `push` at the start of the bytes is only loaded as a selector.

    What comes behind is followed in a straight line, to where control may go elsewhere; a value that went
    into a segment register by then is taken to be for that.
    """
    decoder = decode.decoder(bits)
    decoder.detail = True
    instructions = list(decoder.disasm(code, 0, _FAR))
    if len(instructions) < 2:
        return False
    if name.startswith("push"):
        return instructions[1].mnemonic == "pop" and instructions[1].op_str in _SEGMENTS
    to = instructions[0].operands[0]
    if to.type != capstone.x86.X86_OP_REG:
        return False
    holding = family(instructions[0].reg_name(to.reg))
    loaded = False
    for instruction in instructions[1:]:
        read, written = ({family(instruction.reg_name(register)) for register in registers}
                         for registers in instruction.regs_access())  # fmt: skip
        target, _, source = instruction.op_str.partition(", ")
        if instruction.mnemonic == "mov" and target in _SEGMENTS and family(source) == holding:
            loaded = True
        elif holding in read:
            return False
        if holding in written or _ENDS & set(instruction.groups):
            break
    return loaded


def family(register: str) -> str:
    """The same for all widths of a register: `ax` for al, ah, eax, rax, and `r8` for r8d."""
    if register[:1] == "r" and register[1:2].isdigit():
        return register.rstrip("dwb")
    name = register[1:] if len(register) == 3 and register[0] in "er" else register
    if name in ("sil", "dil", "spl", "bpl"):
        return name[:2]
    return name[0] + "x" if len(name) == 2 and name[0] in "abcd" and name[1] in "lh" else name
