/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Checks of calls that stand for the processor's instructions. What a call has done is looked at by
 * the bare instruction, which works in ring 0.
 */
#include "checks.h"

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

#define CR0_TS  0x08u
#define CR4_TSD 0x04u

#define EFLAGS_IF   0x200u
#define EFLAGS_IOPL 0x3000u

#define USER_FLAGS 7 /* present, writable, user */

static uint32_t flags(void)
{
    uint32_t value;

    __asm__ volatile("pushf; pop %0" : "=r"(value));
    return value;
}

static uint64_t rdmsr(uint32_t index)
{
    uint64_t value;

    __asm__ volatile("rdmsr" : "=A"(value) : "c"(index));
    return value;
}

#define READ_CONTROL(number)                                                                       \
    ({                                                                                             \
        uint32_t value_;                                                                           \
        __asm__ volatile("mov %%cr" #number ", %0" : "=r"(value_));                                \
        value_;                                                                                    \
    })

const char *check_cpuid(void)
{
    struct registers registers = {.eax = 1}, bare = {.eax = 1};

    REQUIRE((uint32_t)client_call(CALL_CPUID, 0, 0, 0) >= 1, "there is no leaf 1");
    /* What differs between two executions on one CPU is nothing that leaf 1 has. */
    registers.eax = (uint32_t)client_call(CALL_CPUID, 1, 0, 0);
    registers.edx = (uint32_t)(client_call(CALL_CPUID, 1, 0, 0) >> 32);
    __asm__ volatile("cpuid" : "+a"(bare.eax), "=b"(bare.ebx), "+c"(bare.ecx), "=d"(bare.edx));
    REQUIRE(registers.eax == bare.eax && registers.edx == bare.edx, "leaf 1 is another");
    return 0;
}

const char *check_msr(void)
{
    client_call(CALL_WRMSR, KERNEL_CS, 0, MSR_SYSENTER_CS);
    REQUIRE(rdmsr(MSR_SYSENTER_CS) == KERNEL_CS, "WRMSR has not written");
    REQUIRE(client_call(CALL_RDMSR, 0, 0, MSR_SYSENTER_CS) == KERNEL_CS, "RDMSR reads another");
    return 0;
}

const char *check_gdt(void)
{
    struct table_register longer = {client_gdtr.limit, client_gdtr.base}, seen = {0, 0},
                          told = {0, 0};

    longer.limit = 0x7f;
    client_call(CALL_SET_GDT, (uint32_t)(uintptr_t)&longer, 0, 0);
    __asm__ volatile("sgdt %0" : "=m"(seen));
    client_call(CALL_GET_GDT, (uint32_t)(uintptr_t)&told, 0, 0);
    client_call(CALL_SET_GDT, (uint32_t)(uintptr_t)&client_gdtr, 0, 0);
    REQUIRE(seen.limit == 0x7f && seen.base == client_gdtr.base, "SetGDT has not loaded");
    REQUIRE(told.limit == 0x7f && told.base == client_gdtr.base, "GetGDT tells another");
    return 0;
}

const char *check_idt(void)
{
    struct table_register seen = {0, 0}, told = {0, 0};

    client_call(CALL_SET_IDT, (uint32_t)(uintptr_t)&client_idtr, 0, 0);
    __asm__ volatile("sidt %0" : "=m"(seen));
    client_call(CALL_GET_IDT, (uint32_t)(uintptr_t)&told, 0, 0);
    REQUIRE(seen.limit == client_idtr.limit && seen.base == client_idtr.base,
            "SetIDT has not loaded");
    REQUIRE(told.limit == client_idtr.limit && told.base == client_idtr.base,
            "GetIDT tells another");
    return 0;
}

const char *check_ldt(void)
{
    uint16_t seen;

    client_call(CALL_SET_LDT, LDT, 0, 0);
    __asm__ volatile("sldt %0" : "=r"(seen));
    REQUIRE(seen == LDT, "SetLDT has not loaded");
    REQUIRE((uint16_t)client_call(CALL_GET_LDT, 0, 0, 0) == LDT, "GetLDT tells another");
    return 0;
}

const char *check_tr(void)
{
    uint16_t seen;

    client_call(CALL_SET_TR, TSS_BSP, 0, 0);
    __asm__ volatile("str %0" : "=r"(seen));
    REQUIRE(seen == TSS_BSP, "SetTR has not loaded");
    REQUIRE((uint16_t)client_call(CALL_GET_TR, 0, 0, 0) == TSS_BSP, "GetTR tells another");
    return 0;
}

/* A data segment whose base is a variable's address, so that reading its first word is a proof. */
static uint32_t probed = 0x12345678;

static struct descriptor probe_descriptor(void)
{
    uint32_t base = (uint32_t)(uintptr_t)&probed;
    struct descriptor made = {base << 16 | 3,
                              (base & 0xff000000) | 0x00409300 | (base >> 16 & 0xff)};

    return made;
}

static uint32_t read_by(uint32_t selector)
{
    uint32_t value;

    __asm__ volatile("mov %w1, %%gs; mov %%gs:0, %0; mov %w2, %%gs"
                     : "=&r"(value)
                     : "r"(selector), "r"(KERNEL_DS)
                     : "memory");
    return value;
}

const char *check_write_gdt(void)
{
    struct descriptor made = probe_descriptor();

    client_call_stack(CALL_WRITE_GDT_ENTRY, (uint32_t)(uintptr_t)client_gdt, SPARE / 8, made.low,
                      made.high, 0);
    REQUIRE(client_gdt[SPARE / 8].low == made.low && client_gdt[SPARE / 8].high == made.high,
            "the entry is another");
    REQUIRE(read_by(SPARE) == probed, "the segment is another");
    return 0;
}

const char *check_write_ldt(void)
{
    struct descriptor made = probe_descriptor();

    client_call_stack(CALL_WRITE_LDT_ENTRY, (uint32_t)(uintptr_t)client_ldt, 5, made.low, made.high,
                      0);
    REQUIRE(client_ldt[5].low == made.low && client_ldt[5].high == made.high,
            "the entry is another");
    REQUIRE(read_by(5 * 8 + 4) == probed, "the segment is another");
    return 0;
}

const char *check_write_idt(void)
{
    struct descriptor kept = client_idt[VECTOR_SPARE];
    uint32_t before = client_interrupts[VECTOR_SPARE + 1];

    client_call_stack(CALL_WRITE_IDT_ENTRY, (uint32_t)(uintptr_t)client_idt, VECTOR_SPARE,
                      client_idt[VECTOR_SPARE + 1].low, client_idt[VECTOR_SPARE + 1].high, 0);
    __asm__ volatile("int %0" : : "i"(VECTOR_SPARE) : "memory");
    client_call_stack(CALL_WRITE_IDT_ENTRY, (uint32_t)(uintptr_t)client_idt, VECTOR_SPARE, kept.low,
                      kept.high, 0);
    REQUIRE(client_interrupts[VECTOR_SPARE + 1] == before + 1, "the gate leads elsewhere");
    return 0;
}

const char *check_cr0(void)
{
    uint32_t cr0 = READ_CONTROL(0), seen, told;

    client_call(CALL_SET_CR0, cr0 | CR0_TS, 0, 0);
    seen = READ_CONTROL(0);
    told = (uint32_t)client_call(CALL_GET_CR0, 0, 0, 0);
    client_call(CALL_CLTS, 0, 0, 0);
    REQUIRE(seen == (cr0 | CR0_TS), "SetCR0 has not written");
    REQUIRE(told == seen, "GetCR0 reads another");
    REQUIRE(READ_CONTROL(0) == (cr0 & ~CR0_TS), "CLTS has not cleared, or more than its flag");
    return 0;
}

const char *check_cr2(void)
{
    client_call(CALL_SET_CR2, 0x00abc123, 0, 0);
    REQUIRE(READ_CONTROL(2) == 0x00abc123, "SetCR2 has not written");
    REQUIRE((uint32_t)client_call(CALL_GET_CR2, 0, 0, 0) == 0x00abc123, "GetCR2 reads another");
    return 0;
}

const char *check_cr3(void)
{
    uint32_t root = client_physical(client_root);

    client_call(CALL_SET_CR3, root, 0, 0);
    REQUIRE(READ_CONTROL(3) == root, "SetCR3 has not written");
    REQUIRE((uint32_t)client_call(CALL_GET_CR3, 0, 0, 0) == root, "GetCR3 reads another");
    return 0;
}

const char *check_cr4(void)
{
    uint32_t cr4 = READ_CONTROL(4), seen, told;

    client_call(CALL_SET_CR4, cr4 ^ CR4_TSD, 0, 0);
    seen = READ_CONTROL(4);
    told = (uint32_t)client_call(CALL_GET_CR4, 0, 0, 0);
    client_call(CALL_SET_CR4, cr4, 0, 0);
    REQUIRE(seen == (cr4 ^ CR4_TSD), "SetCR4 has not written");
    REQUIRE(told == seen, "GetCR4 reads another");
    return 0;
}

const char *check_wbinvd(void)
{
    probed = 0x87654321;
    client_call(CALL_WBINVD, 0, 0, 0);
    REQUIRE(*(volatile uint32_t *)&probed == 0x87654321, "memory has changed");
    return 0;
}

const char *check_dr(void)
{
    uint32_t seen;

    client_call(CALL_SET_DR, 0, 0x00dead00, 0);
    __asm__ volatile("mov %%dr0, %0" : "=r"(seen));
    REQUIRE(seen == 0x00dead00, "SetDR has not written");
    REQUIRE((uint32_t)client_call(CALL_GET_DR, 0, 0, 0) == seen, "GetDR reads another");
    client_call(CALL_SET_DR, 7, 0x400, 0);
    REQUIRE((uint32_t)client_call(CALL_GET_DR, 7, 0, 0) == 0x400, "register 7 is another");
    return 0;
}

const char *check_rdtsc(void)
{
    uint64_t before, between, after;

    __asm__ volatile("rdtsc" : "=A"(before));
    between = client_call(CALL_RDTSC, 0, 0, 0);
    __asm__ volatile("rdtsc" : "=A"(after));
    REQUIRE(before <= between && between <= after, "it is not the time-stamp counter");
    return 0;
}

const char *check_interrupt_mask(void)
{
    client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
    REQUIRE(flags() & EFLAGS_IF, "EnableInterrupts does not");
    REQUIRE((uint32_t)client_call(CALL_GET_INTERRUPT_MASK, 0, 0, 0) & EFLAGS_IF,
            "GetInterruptMask does not see that interrupts are let in");
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    REQUIRE(!(flags() & EFLAGS_IF), "DisableInterrupts does not");
    REQUIRE(!((uint32_t)client_call(CALL_GET_INTERRUPT_MASK, 0, 0, 0) & EFLAGS_IF),
            "GetInterruptMask does not see that interrupts are masked");
    client_call(CALL_SET_INTERRUPT_MASK, EFLAGS_IF, 0, 0);
    REQUIRE(flags() & EFLAGS_IF, "SetInterruptMask does not let in");
    client_call(CALL_SET_INTERRUPT_MASK, 0, 0, 0);
    REQUIRE(!(flags() & EFLAGS_IF), "SetInterruptMask does not mask");
    return 0;
}

const char *check_iopl(void)
{
    uint32_t seen;

    client_call(CALL_SET_IOPL_MASK, EFLAGS_IOPL, 0, 0);
    seen = flags();
    client_call(CALL_SET_IOPL_MASK, 0, 0, 0);
    REQUIRE((seen & EFLAGS_IOPL) == EFLAGS_IOPL, "the level is another");
    REQUIRE(!(flags() & EFLAGS_IOPL), "the level stays");
    return 0;
}

const char *check_io_delay(void)
{
    client_call(CALL_IO_DELAY, 0, 0, 0);
    return 0;
}

const char *check_iret(void)
{
    uint32_t before = client_interrupts[VECTOR_SPARE], masked, open;

    __asm__ volatile("int %0" : : "i"(VECTOR_SPARE) : "memory");
    masked = flags();
    client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
    __asm__ volatile("int %0" : : "i"(VECTOR_SPARE) : "memory");
    open = flags();
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    REQUIRE(client_interrupts[VECTOR_SPARE] == before + 2, "not every trap came");
    REQUIRE(!(masked & EFLAGS_IF), "interrupts are let in behind a trap that they were masked at");
    REQUIRE(open & EFLAGS_IF, "interrupts are masked behind a trap that they were let in at");
    return 0;
}

/* ---- ring 3 ---------------------------------------------------------------------------------- */

#define USER_STACK (USER_BASE + 2 * 4096)

/* Two pages of ring 3, code and stack, once. */
static void map_user(void)
{
    static bool done;
    char *code;
    uint32_t i, size = (uint32_t)(client_user_code_end - client_user_code);

    if (done)
        return;
    done = true;
    code = client_page();
    for (i = 0; i < size; i++)
        code[i] = client_user_code[i];
    client_map(USER_BASE, client_physical(code) | USER_FLAGS);
    client_map(USER_BASE + 4096, client_physical(client_page()) | USER_FLAGS);
}

/* What ring 3 says: its cs, and its interrupt flag in bit 31. */
#define USER_SAYS (0x80000000u | USER_CS | 3)

static uint8_t kernel_stack[4096] __attribute__((aligned(16)));

static void set_kernel_stack(void)
{
    client_tss[1] = (uint32_t)(uintptr_t)(kernel_stack + sizeof(kernel_stack));
    client_call(CALL_UPDATE_KERNEL_STACK, KERNEL_DS, client_tss[1], 0);
}

const char *check_user_iret(void)
{
    uint32_t result;

    map_user();
    set_kernel_stack();
    client_last_cs = 0;
    result = client_to_user(USER_BASE, USER_STACK, 0);
    REQUIRE(client_last_cs == (USER_CS | 3), "the system call did not come from ring 3");
    REQUIRE((result & 0x8000ffff) == USER_SAYS, "ring 3 was entered with other flags or segments");
    /* The frame of the system call was the first thing on that stack. */
    REQUIRE(*(uint32_t *)(void *)(kernel_stack + sizeof(kernel_stack) - 4) == (USER_DS | 3),
            "the system call did not arrive on the stack of UpdateKernelStack");
    return 0;
}

const char *check_user_sysexit(void)
{
    uint32_t result;

    map_user();
    client_call(CALL_WRMSR, KERNEL_CS, 0, MSR_SYSENTER_CS);
    client_call(CALL_WRMSR, (uint32_t)(uintptr_t)(kernel_stack + sizeof(kernel_stack)), 0,
                MSR_SYSENTER_ESP);
    client_call(CALL_WRMSR, (uint32_t)(uintptr_t)client_sysenter, 0, MSR_SYSENTER_EIP);
    result = client_to_user(USER_BASE + (uint32_t)(client_user_code_sysenter - client_user_code),
                            USER_STACK, 1);
    REQUIRE((result & 0x8000ffff) == USER_SAYS, "ring 3 was entered with other flags or segments");
    return 0;
}
