/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "contract.h"

#include <stddef.h>

#include "attempt.h"
#include "layout.h"
#include "lock.h"
#include "print.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "x86.h"

#define FLAGS_ARITHMETIC 0x8d5 /* CF, PF, AF, ZF, SF, OF */

struct contract_registers contract_in, contract_out;
uint32_t contract_changed, contract_stack;
uintptr_t contract_sp;

static const char *const register_names[] = {CONTRACT_REGISTER_NAMES};

/* What is known of a call once its contract was checked. */
static struct {
    bool probed;
    bool passed;
    uint32_t hypercalls;
} known[VMI_ORDINALS];

/* The most stack that a call has taken, its return address included. */
static uint32_t stack_taken;
static const char *stack_taken_by = "";

static bool may_fault;
static const char *skipped;
static char complaint[160];
static const char *effect; /* that was found */

void contract_may_fault(void)
{
    may_fault = true;
}

void contract_skip(const char *reason)
{
    skipped = reason;
}

void contract_expect(const char *what, uint64_t found, uint64_t wanted)
{
    if (found != wanted && complaint[0] == '\0')
        format(complaint, sizeof(complaint), "%s is 0x%llx, not 0x%llx", what,
               (unsigned long long)found, (unsigned long long)wanted);
}

void contract_effect(const char *what, uint64_t found, uint64_t wanted)
{
    if (found == wanted)
        effect = what;
    contract_expect(what, found, wanted);
}

uint32_t contract_hypercalls(void)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < vmi_hypercalls_count; i++)
        made += *vmi_hypercalls[i].count;
    return made;
}

void contract_made(uint32_t ordinal, uint32_t hypercalls)
{
    known[ordinal].probed = true;
    known[ordinal].hypercalls += hypercalls;
}

static const struct vmi_call_info *declaration(uint32_t ordinal)
{
    for (uint32_t i = 0; i < vmi_calls_count; i++)
        if (vmi_calls[i].ordinal == ordinal)
            return &vmi_calls[i];
    return NULL;
}

uint32_t contract_declared(uint32_t ordinal)
{
    const struct vmi_call_info *declared = declaration(ordinal);
    return declared != NULL ? declared->kind : VMI_KIND_UNSUPPORTED;
}

static uint64_t result_of(const struct contract *contract)
{
    const uintptr_t *registers = (const uintptr_t *)&contract_out;
    uint64_t value = registers[contract->result[0]];

    if (contract->result[0] != contract->result[1])
        value = (uint64_t)registers[contract->result[1]] << 32 | (uint32_t)value;
    else if (contract->result_bits < 64)
        value &= (1ull << contract->result_bits) - 1;
    return value;
}

static void FROM_ASSEMBLY make(void *argument)
{
    const struct contract *contract = argument;
    contract->probe();
}

/* Calls that exist to change the interrupt mask, or return with interrupts let in. */
static bool changes_mask(uint32_t ordinal)
{
    return ordinal == VMI_ORDINAL_ENABLE_INTERRUPTS || ordinal == VMI_ORDINAL_DISABLE_INTERRUPTS ||
           ordinal == VMI_ORDINAL_SET_INTERRUPT_MASK || ordinal == VMI_ORDINAL_HALT;
}

/*
 * One call with interrupts masked or let in, and with all arithmetic flags set or clear. False once
 * there is a verdict.
 */
static bool probe_once(const struct contract *contract, bool open)
{
    const struct vmi_call_info *declared = declaration(contract->ordinal);
    bool unsupported = declared->kind == VMI_KIND_UNSUPPORTED;
    struct fault fault;
    uintptr_t flags;

    memset(&contract_in, 0, sizeof(contract_in));
    contract_stack = 0; /* for probes that do not measure it */
    may_fault = false;
    skipped = NULL;
    complaint[0] = '\0';
    effect = NULL;
    vmi_disable_interrupts();
    __asm__ volatile("pushf\n\tpop %0" : "=r"(flags));
    /* The flag itself is the hypervisor's where the kernel is not in ring 0; a frame of IRET takes
     * it. */
    contract_in.flags = (flags & ~(uintptr_t)(FLAGS_ARITHMETIC | EFLAGS_IF)) |
                        (open ? FLAGS_ARITHMETIC | EFLAGS_IF : 0);
    contract->arguments(&contract_in);
    if (skipped != NULL) {
        vmi_enable_interrupts();
        ktap_skip("%s", skipped);
        return false;
    }
    if (open)
        vmi_enable_interrupts();
    uint32_t before = contract_hypercalls();
    bool done = attempt(make, (void *)(uintptr_t)contract, &fault);
    uint32_t made = contract_hypercalls() - before;
    bool open_after = vmi_get_interrupt_mask() & EFLAGS_IF;

    vmi_disable_interrupts();
    /* An interrupt that comes while they are let in may make hypercalls of its own. */
    if (!open)
        known[contract->ordinal].hypercalls += made;
    if (done && contract->after != NULL)
        contract->after(&contract_out);
    vmi_enable_interrupts();

    const char *when = open ? "interrupts let in" : "interrupts masked";
    if (!done && may_fault) {
        ktap_skip("this processor has no such thing: it raised exception %u", fault.vector);
        return false;
    }
    if (!done) {
        ktap_fail("%s: exception %u, error 0x%x, at 0x%llx", when, fault.vector, fault.error,
                  (unsigned long long)fault.ip);
        return false;
    }
    for (uint32_t i = 0; i < sizeof(register_names) / sizeof(register_names[0]); i++) {
        if (!(contract_changed & 1u << i))
            continue;
        ktap_fail("%s: %s is not kept: 0x%llx", when, register_names[i],
                  (unsigned long long)((const uintptr_t *)&contract_out)[i]);
        return false;
    }
    if (contract_changed & CONTRACT_CHANGED_STACK) {
        ktap_fail("%s: the stack pointer is not kept", when);
        return false;
    }
    if (!changes_mask(contract->ordinal) && open_after != open) {
        ktap_fail("%s: the interrupt mask is not kept", when);
        return false;
    }
    /* With interrupts let in, one that came may have been deeper. */
    open |= changes_mask(contract->ordinal);
    if (!open && contract_stack > contract->stack) {
        ktap_fail("%u bytes of stack taken, more than %u", contract_stack, contract->stack);
        return false;
    }
    if (!open && contract_stack > stack_taken) {
        stack_taken = contract_stack;
        stack_taken_by = contract->name;
    }
    if (unsupported && contract->result_bits != 0 && result_of(contract) != contract->unsupported) {
        ktap_fail("unexpected: declared unsupported, but the result is 0x%llx, not 0x%llx",
                  (unsigned long long)result_of(contract),
                  (unsigned long long)contract->unsupported);
        return false;
    }
    if (unsupported && effect != NULL) {
        ktap_fail("unexpected: declared unsupported, but it has its effect: %s", effect);
        return false;
    }
    if (unsupported)
        return true;
    if (made != 0 && contract->unsupported == (uint32_t)VMI_ENOSYS &&
        result_of(contract) == contract->unsupported) {
        ktap_fail("%s: a hypercall was made for what is then not implemented", when);
        return false;
    }
    if (complaint[0] != '\0') {
        ktap_fail("%s: %s", when, complaint);
        return false;
    }
    return true;
}

void contract_print_stack(void)
{
    print("# stack call=%s bytes=%u\n", stack_taken_by, stack_taken);
}

void contract_check(const struct contract *contract)
{
    if (contract->probe == NULL) {
        ktap_skip("does not come back");
        return;
    }
    if (contract->arguments == NULL) {
        ktap_fail("conformance/cases.c has no arguments for it");
        return;
    }
    if (declaration(contract->ordinal) == NULL) {
        ktap_fail("the library's table does not have it");
        return;
    }
    /* No alarm comes between: what is counted is the call's. */
    timer_cancel();
    spin_milliseconds(1);
    known[contract->ordinal].probed = true;
    known[contract->ordinal].passed = probe_once(contract, false) && probe_once(contract, true);
    timer_init_cpu();
}

void matrix_check(const struct contract *contract)
{
    const struct vmi_call_info *declared = declaration(contract->ordinal);

    EXPECT(declared != NULL);
    EXPECT_EQUAL(strlen(declared->name), strlen(contract->name));
    EXPECT(string_equal(declared->name, contract->name, strlen(contract->name)));
    EXPECT(declared->how != NULL);
    if (!known[contract->ordinal].probed) {
        ktap_skip("the call was not made");
        return;
    }
    uint32_t made = known[contract->ordinal].hypercalls;
    if (declared->kind != VMI_KIND_HYPERCALL) {
        EXPECT_EQUAL(made, 0);
        return;
    }
    if (made == 0 && declared->when != NULL)
        ktap_skip("no hypercall; it is made %s", declared->when);
    else if (made == 0)
        ktap_fail("declared a hypercall (%s), but none was made", declared->how);
}
