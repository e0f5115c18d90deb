# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The VMware library's detection and commands against a stand-in, for QEMU has none of VMware's CPUID leaves
and no VMCALL form, and answers neither time nor steal_clock.

The library's own code runs as a process: reading the port faults there, and so does what is put in place
of VMCALL and VMMCALL (which would leave for the hypervisor below the build machine, if there is one). The
handler answers in VMware's stead, by the registers of open-vm-tools' backdoor_def.h, and a table does in
CPUID's. What VMware itself does is not shown by this.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.build import build, tree
from ci.util import ARCHITECTURES, ROOT
from tests.backends.played import COMPILE, place_of_the_image

FOLDER = ROOT / "backends/vmware"

PROGRAM = r"""
#include "native/native.h"
#include "vmware.h"
#include <vmware/hypercalls.h>
#include <vmware/routines.h>

/* The processor's leaves: whether there is a hypervisor, its first leaf and its leaf of features. */
static struct { uint32_t hypervisor, last, features; const char *signature; } leaves;

static struct vmi__cpuid played_cpuid(uint32_t leaf)
{
    struct vmi__cpuid id = {0, 0, 0, 0};

    if (leaf == 1)
        id.ecx = leaves.hypervisor << 31;
    if (leaf == 0x40000000 && leaves.hypervisor) {
        id.eax = leaves.last;
        memcpy(&id.ebx, leaves.signature, 4);
        memcpy(&id.ecx, leaves.signature + 4, 4);
        memcpy(&id.edx, leaves.signature + 8, 4);
    }
    if (leaf == 0x40000010 && leaves.last >= leaf)
        id.ecx = leaves.features;
    return id;
}
#define vmi__cpuid(leaf, subleaf) played_cpuid(leaf)
#include "vmware.c"
#include "backend_init.c"

/* Linux's system calls and signal frames (asm/unistd_32.h, _64.h; asm/sigcontext.h, asm/ucontext.h). */
#define SIGILL 4
#define SIGSEGV 11
#define SA_SIGINFO 4

typedef uintptr_t word;
struct action { void *handler; word flags; void *restorer; uint64_t mask; };

#ifdef __x86_64__
#define SYS_exit 60
#define SYS_rt_sigaction 13
#define SA_RESTORER 0x04000000

struct context {
    word flags, link, stack[3], r8_r15[8], edi, esi, ebp, ebx, edx, eax, ecx, esp, eip;
};

/* The memory of a guest is elsewhere, so that addresses have upper halves. */
#define LINEAR_BASE 0xfffffff000000000

void restorer(void);
__asm__(".text\nrestorer: mov $15, %eax\n\tsyscall");

static word call(int number, word a, word b, word c, word d)
{
    word result;
    register word fourth __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "0"((word)number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}
#else
#define SYS_exit 1
#define SYS_rt_sigaction 174
/* Returning from a handler without a restorer is the vDSO's business. */
#define SA_RESTORER 0
#define restorer 0

struct context {
    word flags, link, stack[3];
    word gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, trap, error, eip;
};

#define LINEAR_BASE 0xc0000000

static word call(int number, word a, word b, word c, word d)
{
    word result;
    __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
    return result;
}
#endif

/* ---- what the library wants from others ---- */
struct vmi_boot_info vmi__boot = {.cpu_count = 2, .linear_base = LINEAR_BASE};
uint64_t vmi__native_tsc_hz = 2000000000;
uint32_t vmi__native_apic_timer_hz;
uint32_t vmi__native_cpus_started = 1;
static uint32_t current;
uint32_t vmi__native_cpu(void) { return current; }
void *vmi__cpu_rows(uint32_t size) { (void)size; return 0; }
uint64_t vmi__native_get_wallclock_time(void) { return 77; }
static uint64_t begun_with; /* the frequency that the native library was given; without one it measures */
static uint32_t asked_without;
int32_t vmi__native_rebind(uint32_t without)
{
    asked_without = without;
    return 7;
}
void vmi__native_init(struct vmi_boot_info *boot)
{
    (void)boot;
    begun_with = vmi__native_tsc_hz;
    if (!begun_with)
        vmi__native_tsc_hz = 1000000000;
}
static char printed[200], *print_to = printed;
void vmi__print(const char *text)
{
    while (*text)
        *print_to++ = *text++;
}

/* ---- the stand-in ---- */
static unsigned faults, answers, last_form, magic = 0x564d5868;
static uint64_t hz;
static uint64_t steal_addresses[2];

static void handler(int signal, void *info, struct context *c)
{
    unsigned char *code = (unsigned char *)c->eip;

    (void)signal; (void)info;
    if (code[0] == 0xfa || code[0] == 0xfb) { /* CLI, STI */
        c->eip += 1;
        return;
    }
    faults++;
    if (code[0] == 0xed && (c->edx & 0xffff) == 0x5658) {
        last_form = VMWARE__BY_PORT;
        c->eip += 1;
    } else if (code[0] == 0x0f && code[1] == 0x0b && (code[2] == 0xc1 || code[2] == 0xd9)) {
        last_form = code[2] == 0xc1 ? VMWARE__BY_VMCALL : VMWARE__BY_VMMCALL;
        if (c->edx & 0xffff)
            call(SYS_exit, 90, 0, 0, 0);
        c->eip += 3;
    } else {
        call(SYS_exit, 91, 0, 0, 0);
    }
    if (c->eax != 0x564d5868)
        call(SYS_exit, 92, 0, 0, 0);
    if (!answers) {
        c->eax = 0xffffffff;
        return;
    }
    switch (c->ecx & 0xffff) {
    case 10:
        c->eax = 6; c->ebx = magic; c->ecx = 4;
        break;
    case 45:
        c->eax = (unsigned)hz; c->ebx = (unsigned)(hz >> 32); c->ecx = 66000000;
        break;
    case 46: /* 2^32 + 5 s and 250000 us */
        c->esi = 1; c->edx = 5; c->ebx = 250000; c->ecx = 1000000;
        break;
    case 91:
        if (c->edi)
            steal_addresses[current] = (uint64_t)c->esi << 32 | c->edi;
        c->eax = 1; c->ebx = c->esi = 0xdead;
        break;
    default:
        c->eax = 0xffffffff;
    }
    c->edi = 0xdead;
}

#define CHECK(number, condition) do { if (!(condition)) call(SYS_exit, number, 0, 0, 0); } while (0)

/* Whether a hypercall, or a command, keeps what a function keeps, which the handler destroys in part. */
#ifdef __x86_64__
#define KEEPS(function, first) ({ \
    word kept_, first_ = (word)(first); \
    __asm__ volatile("mov $0x11, %%ebx; mov $0x22, %%r12d\n\t" \
                     "call " #function "\n\t" \
                     "sub $0x11, %%rbx; sub $0x22, %%r12; or %%r12, %%rbx; mov %%rbx, %%rax" \
                     : "=a"(kept_), "+D"(first_) : : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", \
                       "r12", "cc", "memory"); \
    kept_ == 0; })
#else
#define KEEPS(function, first) ({ \
    unsigned kept_; \
    __asm__ volatile("push $0; push $0; push $0\n\t" \
                     "mov $0x11, %%ebx; mov $0x22, %%esi; mov $0x33, %%edi\n\t" \
                     "call " #function "; add $12, %%esp\n\t" \
                     "sub $0x11, %%ebx; sub $0x22, %%esi; sub $0x33, %%edi\n\t" \
                     "or %%esi, %%ebx; or %%edi, %%ebx; mov %%ebx, %%eax" \
                     : "=a"(kept_) : "0"(first) : "ebx", "ecx", "edx", "esi", "edi", "cc", "memory"); \
    kept_ == 0; })
#endif

/* Asks for the backdoor anew; the frequency that it tells, or 0. */
static uint64_t detected(const char *signature, uint32_t last, uint32_t features)
{
    leaves.hypervisor = signature != 0;
    leaves.signature = signature;
    leaves.last = last;
    leaves.features = features;
    vmi__vmware_present = false;
    faults = version = product = bus_hz = 0;
    tsc_hz = 0;
    vmi__vmware_form = 9;
    return vmi__vmware_detect();
}

static bool same(const char *text, const char *other)
{
    while (*text && *text == *other)
        text++, other++;
    return *text == *other;
}

static void detection(void)
{
    static const char theirs[] = "VMwareVMware", others[] = "TCGTCGTCGTCG";
    static const uint8_t forms[] = {
        VMWARE__BY_PORT, VMWARE__BY_VMMCALL, VMWARE__BY_VMCALL, VMWARE__BY_VMCALL};
    uint32_t features;

    answers = 1;
    hz = 5000000123;
    /* A bare machine's port is let alone. */
    CHECK(50, detected(0, 0, 0) == 0 && faults == 0 && !vmi__vmware_present);
    CHECK(51, detected(others, 0x40000001, 0) == hz && vmi__vmware_present && last_form == VMWARE__BY_PORT);
    CHECK(52, detected(theirs, 0x4000000f, 3) == hz && last_form == VMWARE__BY_PORT);
    for (features = 0; features < 4; features++)
        CHECK(53 + features, detected(theirs, 0x40000010, features) == hz && last_form == forms[features]);
    vmi__vmware_describe();
    CHECK(57, same(printed, "# vmware version=6 product=4 by=vmcall tsc_khz=5000000 bus_khz=66000"
                            " time=no steal=no\r\n"));
    /* On another host: entered as that wants it, and not where there was none. */
    leaves.features = 1;
    CHECK(67, vmi__backend_rebind(5) == 7 && asked_without == 5 && vmi__vmware_form == VMWARE__BY_VMMCALL);
    leaves.features = 2;
    CHECK(68, vmi__backend_rebind(0) == 7 && vmi__vmware_form == VMWARE__BY_VMCALL);
    vmi__vmware_present = false;
    leaves.features = 1;
    CHECK(69, vmi__backend_rebind(0) == 7 && vmi__vmware_form == VMWARE__BY_VMCALL);
    /* Not known, and nonsense. */
    hz = 0xffffffffffffffff;
    CHECK(60, detected(theirs, 0x40000010, 0) == 0 && vmi__vmware_present);
    hz = 1000;
    CHECK(61, detected(theirs, 0x40000010, 0) == 0 && vmi__vmware_present);
    /* A kernel that binds itself takes it for VMware's by the signature only, and if it answers. */
    CHECK(64, vmi__vmware_here());
    leaves.signature = others;
    CHECK(65, !vmi__vmware_here());
    /* Something else has the port. */
    magic = 0;
    leaves.signature = theirs;
    CHECK(66, !vmi__vmware_here());
    CHECK(62, detected(others, 0x40000001, 0) == 0 && !vmi__vmware_present);
    answers = 0;
    CHECK(63, detected(others, 0x40000001, 0) == 0 && !vmi__vmware_present);
    faults = 0;
}

void start_c(void)
{
    struct action action = {handler, SA_SIGINFO | SA_RESTORER, restorer, 0};
    struct vmi__vmware_answer answer;
    uint32_t form;

    call(SYS_rt_sigaction, SIGSEGV, (word)&action, 0, 8);
    call(SYS_rt_sigaction, SIGILL, (word)&action, 0, 8);

    detection();

    /* No backdoor: nothing is asked. */
    CHECK(1, vmi__vmware_get_wallclock_time() == 77);
    vmi__vmware_time_init();
    CHECK(2, faults == 0 && vmi__vmware_steal_time() == 0);

    /* One that does not answer: what it was asked once it is not asked again. */
    vmi__vmware_present = true;
    vmi__vmware_time_init();
    CHECK(3, faults == 2 && !vmi__vmware_tells_time && !vmi__vmware_counts_stolen_time);
    vmi__native_cpu_identified(1);
    CHECK(4, vmi__vmware_get_wallclock_time() == 77 && vmi__vmware_steal_time() == 0 && faults == 2);

    /* One that does, in each form. */
    answers = 1;
    for (form = VMWARE__BY_PORT; form <= VMWARE__BY_VMMCALL; form++) {
        vmi__vmware_form = (uint8_t)form;
        vmi__vmware_time_init();
        CHECK(40 + form, vmi__vmware_tells_time && vmi__vmware_counts_stolen_time);
        CHECK(10 + form, vmi__vmware_get_wallclock_time() == 4294967301250000000ull);
        CHECK(20 + form, last_form == form);
        CHECK(70 + form, KEEPS(vmi__vmware_hypercall_steal_clock, 0));
        CHECK(75 + form, KEEPS(vmi__vmware_hypercall_get_time_full, 0));
        CHECK(80 + form, KEEPS(vmi__vmware_get_time_full, &answer));
    }

    /* Stolen time: each CPU has its own structure, cycles of 2 GHz become nanoseconds. */
    current = 1;
    vmi__native_cpu_identified(1);
    faults = 0;
    vmi__native_cpu_identified(1);
    CHECK(30, faults == 0);
    CHECK(31, steal_addresses[0] && steal_addresses[1] - steal_addresses[0] >= 64);
    CHECK(32, !(steal_addresses[0] & 63) && !(steal_addresses[1] & 63));
    *(uint64_t *)(uintptr_t)(steal_addresses[1] + LINEAR_BASE) = 20000000000ull;
    CHECK(33, vmi__vmware_steal_time() - 9999999000ull < 2000);
    current = 0;
    CHECK(34, vmi__vmware_steal_time() == 0);

    /* What is told is what the native library begins with. */
    magic = 0x564d5868;
    print_to = printed;
    hz = 3000000000;
    vmi__backend_init(&vmi__boot);
    CHECK(35, vmi__vmware_present && begun_with == hz && vmi__native_apic_timer_hz == 66000000);
    hz = 0xffffffffffffffff;
    tsc_hz = 0;
    vmi__backend_init(&vmi__boot);
    CHECK(36, vmi__vmware_present && begun_with == 0);
    call(SYS_exit, 0, 0, 0, 0);
}
"""

START = r"""
        .globl  _start
#ifdef __x86_64__
_start: and     $-16, %rsp
#else
_start: and     $-16, %esp
#endif
        call    start_c
"""


@pytest.mark.parametrize("optimize", ["-O0", "-O2"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_commands(tmp_path: Path, arch: str, optimize: str) -> None:
    build(arch=arch)
    program = tmp_path / "backdoor"
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "start.S").write_text(START)
    generated = tree(arch) / "include"
    # UD2, and the last byte of the instruction that it stands for.
    header = (generated / "vmi/vmware-hypercalls.h").read_text()
    for instruction, byte in (("771: vmcall", 0xC1), ("772: vmmcall", 0xD9)):
        assert instruction in header
        header = header.replace(instruction, f"{instruction[:4]} .byte 0x0f, 0x0b, {byte}")
    (tmp_path / "vmware").mkdir()
    (tmp_path / "vmware/hypercalls.h").write_text(header)
    command = ["gcc", *COMPILE[arch], optimize, "-std=gnu11", "-mgeneral-regs-only", "-ffreestanding",
               "-nostdlib", "-static", "-no-pie", "-fno-pic", "-fno-stack-protector",
               f"-I{tmp_path}", f"-I{FOLDER}", f"-I{ROOT}/backends", f"-I{ROOT}/runtime", f"-I{generated}",
               *(str(FOLDER / name) for name in (f"arch/{arch}/backdoor.S", "time.c")),
               str(generated / "vmi/vmware-hypercalls.S"), str(ROOT / "runtime/string.c"),
               *map(str, place_of_the_image(arch)),
               str(tmp_path / "main.c"), str(tmp_path / "start.S"), "-o", str(program)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([program], timeout=300, check=False).returncode == 0
