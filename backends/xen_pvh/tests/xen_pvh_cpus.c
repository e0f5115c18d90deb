/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel with more CPUs than Xen's shared page has words for. The last one takes an interrupt of
 * the first, and events of the console's channel, which is moved there. test_xen_pvh_boot.py builds
 * and boots it.
 */
#include <stdint.h>

#include <vmi/vmi.h>

#include "xen_common/tests/xen_ktap.h"

#define VECTOR 0x50

#define CODE       8
#define DATA       16
#define ATTRIBUTES 0x8e00u /* of an interrupt gate, present, DPL 0 */

static uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
static uint64_t idt[256][2] __attribute__((aligned(4096)));
static uint8_t stack[4096] __attribute__((aligned(16)));
static uint8_t area[256] __attribute__((aligned(16)));
static volatile uint32_t runs, came, came_elsewhere;
static uint32_t last;

/* An interrupt: registers that C destroys are kept. */
__asm__("    .text\n"
        "    .globl on_vector\n"
        "on_vector:\n"
        "    push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"
        "    push %r8; push %r9; push %r10; push %r11\n"
        "    call on_interrupt\n"
        "    pop %r11; pop %r10; pop %r9; pop %r8\n"
        "    pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
        "    jmp vmi_iret\n");
extern const char on_vector[];
void on_interrupt(void);

void on_interrupt(void)
{
    if (vmi_current_cpu() == last)
        came++;
    else
        came_elsewhere++;
    vmi_end_of_interrupt(VECTOR);
}

static void last_cpu(void)
{
    runs = 1;
    for (;;)
        vmi_halt();
}

/* Has a number gone above what it was? */
static uint32_t more(const volatile uint32_t *number, uint32_t before)
{
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE;

    while (*number <= before)
        if (vmi_clock_nanoseconds() >= end)
            return 0;
    return 1;
}

static uint32_t last_cpu_starts(const struct vmi_boot_info *boot)
{
    const struct vmi_ap_state state = {
        .cr0 = vmi_get_cr0(),
        .cr3 = boot->boot_cr3,
        .cr4 = vmi_get_cr4(),
        .rip = (uintptr_t)last_cpu,
        .rflags = 0x202,
        .rsp = (uintptr_t)stack + sizeof(stack) - 8,
        .gs_base = (uintptr_t)area,
        .cs = CODE,
        .ss = DATA,
        .gdtr_limit = sizeof(gdt) - 1,
        .gdtr_base = (uintptr_t)gdt,
        .idtr_limit = sizeof(idt) - 1,
        .idtr_base = (uintptr_t)idt,
    };
    uintptr_t handler = (uintptr_t)on_vector;

    last = boot->cpu_count - 1;
    idt[VECTOR][0] = (handler & 0xffff) | (uint64_t)CODE << 16 | (uint64_t)ATTRIBUTES << 32 |
                     (handler >> 16 & 0xffff) << 48;
    idt[VECTOR][1] = handler >> 32;
    EXPECT(last >= 32);
    EXPECT(vmi_set_initial_ap_state(&state, boot->cpus[last].apic_id) == VMI_OK);
    EXPECT(more(&runs, 0));
    return 0;
}

static uint32_t last_cpu_is_interrupted(void)
{
    uint32_t set[8] = {0};

    set[last / 32] = 1u << last % 32;
    EXPECT(vmi_send_ipi(set, last + 1, VECTOR) == VMI_OK);
    EXPECT(more(&came, 0) && came == 1);
    return 0;
}

/* Whoever serves the console says so when it has taken what is written. */
static uint32_t last_cpu_takes_events(void)
{
    int32_t event = vmi_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR);
    uint32_t before;

    EXPECT(event > 0);
    /* One that does not run takes none. */
    EXPECT(vmi_event_move((uint32_t)event, last - 1) == VMI_EINVAL);
    EXPECT(vmi_event_move((uint32_t)event, last) == VMI_OK);
    EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK);
    for (uint32_t round = 0; round < 3; round++) {
        before = came;
        print("# taken\r\n");
        EXPECT(more(&came, before));
    }
    EXPECT(vmi_event_unbind((uint32_t)event) == VMI_OK && !came_elsewhere);
    return 0;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    plan(3);
    check("cpus.last_starts", last_cpu_starts(boot));
    check("cpus.last_is_interrupted", last_cpu_is_interrupted());
    check("cpus.last_takes_events", last_cpu_takes_events());
    end();
}
