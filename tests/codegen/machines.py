# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Programs of the build machine that call entry points with known registers, for each architecture."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

FLAGS = 0x8D5
"""CF, PF, AF, ZF, SF and OF: those that arithmetic changes."""


@dataclass(frozen=True)
class Machine:
    """What the programs know of an architecture; registers in the order of their places in `in` and `out`."""

    arch: str
    registers: tuple[str, ...]
    stack: str
    callee_saved: tuple[str, ...]
    scratch: tuple[str, ...]
    arguments: tuple[str, ...]
    """Of convention c."""
    attribute: str
    """Of functions that stubs and wrappers name."""
    options: tuple[str, ...]
    system: str
    """Assembly of `_start`, `finish` (status as a C function returns it) and `say` (text, length)."""
    elf: str

    @property
    def word(self) -> int:
        """Bytes."""
        return 4 if self.arch == "i386" else 8

    @property
    def mask(self) -> int:
        """All bits of a word."""
        return (1 << 8 * self.word) - 1

    @property
    def flags(self) -> int:
        """The flags' place in `in` and `out`."""
        return len(self.registers)

    def place(self, register: str) -> int:
        """A register's place in `in` and `out`."""
        return self.registers.index(register)

    def pattern(self, register: str) -> int:
        """The value that a register holds before a call."""
        number = 0x1111000011110000 + 0x0101010101010101 * (self.place(register) + 1)
        return number & self.mask

    def number(self, value: int) -> str:
        """A word in C."""
        return f"{value & self.mask:#x}{'u' if self.word == 4 else 'ull'}"

    def harness(self) -> str:
        """`harness` runs target with the registers, flags and stack words of `in`; what comes back is in
        `out`. Returns 1 if the stack pointer is another one afterwards. `destroy` is the worst C function."""
        word, stack = self.word, self.stack
        # The word that is loaded or stored last belongs to the register that nothing else needs.
        rest = list(enumerate(self.registers))[1:]
        first = self.registers[0]
        lines = [
            ".bss",
            ".balign 16",
            ".globl in, out, target, stack_words",
            f"in: .skip {word * (len(self.registers) + 1)}",
            f"out: .skip {word * (len(self.registers) + 1)}",
            f"target: .skip {word}",
            f"stack_words: .skip {2 * word}",
            f"saved: .skip {word}",
            ".text",
            ".globl harness",
            "harness:",
            *(f"push %{register}" for register in self.callee_saved),
            "pushf",
            f"mov %{stack}, saved",
            f"push stack_words + {word}",
            "push stack_words",
            *(f"mov in + {word * place}, %{register}" for place, register in rest),
            f"mov in, %{first}",
            f"push in + {word * self.flags}",
            "popf",
            "call *target",
            "pushf",
            f"pop out + {word * self.flags}",
            f"mov %{first}, out",
            *(f"mov %{register}, out + {word * place}" for place, register in rest),
            f"add ${2 * word}, %{stack}",
            f"xor %{first}, %{first}",
            f"cmp %{stack}, saved",
            "je 1f",
            f"mov saved, %{stack}",
            f"inc %{first}",
            "1: popf",
            *(f"pop %{register}" for register in reversed(self.callee_saved)),
            "ret",
            ".globl destroy",
            "destroy:",
            *(f"mov $0x5ead{i:04x}, %{register}" for i, register in enumerate(self.scratch)),
            f"cmp $0x7fffffff, %{first}",
            "stc",
            "ret",
            ".globl _start, finish",
            self.system,
            '.section .note.GNU-stack, "", @progbits',
        ]
        return "\n".join(lines) + "\n"

    def prelude(self, backend: str) -> str:
        """The beginning of a program in C."""
        return f"""
#include <vmi/vmi.h>
#include "{backend}/routines.h"

typedef __UINTPTR_TYPE__ word;
extern word in[{len(self.registers) + 1}], out[{len(self.registers) + 1}], stack_words[2];
extern const void *target;
word harness(void);
{self.attribute} void destroy(void);
{self.attribute} void say(const char *text, word length);
int main(void);

uint32_t vmi_call_count[VMI_ORDINALS];
/* Volatile, for a call with `memory: false` does not tell the compiler that a routine writes them. */
static volatile uint64_t seen[8];
static volatile uint32_t calls_seen;
static uint32_t failures;

static void fail(const char *what)
{{
    uint32_t length = 0;
    while (what[length])
        length++;
    say(what, length);
    say("\\n", 1);
    failures++;
}}
#define CHECK(condition) do {{ if (!(condition)) fail(#condition " (" CALL ")"); }} while (0)
"""

    def build(
        self, compiler: str, flags: list[str], out: Path, include: list[Path], files: list[Path]
    ) -> Path:
        """Links a program that needs no library."""
        command = [compiler, *self.options, "-nostdlib", "-static", "-ffreestanding", "-fno-stack-protector"]
        command += ["-mgeneral-regs-only", "-w", *flags, *(f"-I{path}" for path in include)]
        command += [*map(str, files), "-o", str(out / "program")]
        subprocess.run(command, check=True, timeout=300)
        return out / "program"

    def runs_here(self, folder: Path) -> bool:
        """Whether the build machine runs such programs."""
        source = folder / "probe.S"
        source.write_text(f".globl _start, finish\n{self.system}\n.globl main\nmain: mov $42, %eax\nret\n")
        program = self.build("gcc", [], folder, [], [source])
        try:
            return subprocess.run([str(program)], timeout=10).returncode == 42
        except OSError:
            return False


I386 = Machine(
    arch="i386",
    registers=("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi"),
    stack="esp",
    callee_saved=("ebx", "ebp", "esi", "edi"),
    scratch=("eax", "ecx", "edx"),
    arguments=("eax", "edx", "ecx"),
    attribute="__attribute__((__regparm__(3)))",
    options=("-m32", "-Wl,-z,notext"),
    # System calls of Linux: 4 write, 1 exit.
    system="""
_start: call main
finish: mov %eax, %ebx
        mov $1, %eax
        int $0x80
        .globl say
say:    push %ebx
        mov %eax, %ecx
        mov $1, %ebx
        mov $4, %eax
        int $0x80
        pop %ebx
        ret
""",
    elf="elf_i386",
)

X86_64 = Machine(
    arch="x86_64",
    registers=(
        *("rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi"),
        *(f"r{number}" for number in range(8, 16)),
    ),
    stack="rsp",
    callee_saved=("rbx", "rbp", "r12", "r13", "r14", "r15"),
    scratch=("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"),
    arguments=("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    attribute="",
    # A call destroys what is below the stack pointer.
    options=("-m64", "-mno-red-zone", "-no-pie", "-Wl,-z,notext"),
    # System calls of Linux: 1 write, 60 exit.
    system="""
_start: call main
finish: mov %eax, %edi
        mov $60, %eax
        syscall
        .globl say
say:    mov %rsi, %rdx
        mov %rdi, %rsi
        mov $1, %edi
        mov $1, %eax
        syscall
        ret
""",
    elf="elf_x86_64",
)

MACHINES = (I386, X86_64)
