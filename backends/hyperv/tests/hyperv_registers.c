/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The Hyper-V library's hypercalls for x86-64 as a Linux process: in place of the hypervisor's page
 * a function notes the registers, and destroys what the hypervisor may.
 */
#include <hyperv/hypercalls.h>

#include "backends/played.h"

uint64_t control, input, output;

void vmi__hyperv_hypercall_page(void);

/* rcx: input value; rdx, r8: parameters; on return rax: result value. */
__asm__(".globl vmi__hyperv_hypercall_page\n"
        "vmi__hyperv_hypercall_page:\n\t"
        "mov %rcx, control\n\t"
        "mov %rdx, input\n\t"
        "mov %r8, output\n\t"
        "mov $-1, %rcx\n\t"
        "mov %rcx, %rdx\n\t"
        "mov %rcx, %r8\n\t"
        "mov %rcx, %r9\n\t"
        "mov %rcx, %r10\n\t"
        "mov %rcx, %r11\n\t"
        "movabs $0x500000002, %rax\n\t"
        "ret");

#define REPEATS 5ull

/* With a whole register, whatever the prototype's width: callers leave anything above that. */
extern int64_t
flush_list(uint64_t input_high, uint64_t input,
           uint64_t output) __asm__("vmi__hyperv_hypercall_flush_virtual_address_list");

static void the_input_value_is_one_register(void)
{
    uint32_t before = vmi__hyperv_hypercall_flush_virtual_address_list_count;

    EXPECT(flush_list(0xd1d1d1d100000000 | REPEATS, 0x123456789000, 0xfedcba9876543210) ==
           0x500000002);
    EXPECT(control == (REPEATS << 32 | 3));
    EXPECT(input == 0x123456789000 && output == 0xfedcba9876543210);
    EXPECT(vmi__hyperv_hypercall_flush_virtual_address_list_count == before + 1);
}

static void fast_ones_have_their_parameters_in_registers(void)
{
    EXPECT(vmi__hyperv_hypercall_send_synthetic_cluster_ipi(0, 0x41, 1ull << 63) == 0x500000002);
    EXPECT(control == 0x1000b && input == 0x41 && output == 1ull << 63);
    EXPECT(vmi__hyperv_hypercall_notify_long_spin_wait(0, 1ull << 40) == 0x500000002);
    EXPECT(control == 0x10008 && input == 1ull << 40);
}

static const struct played_check checks[] = {
    CHECK(the_input_value_is_one_register),
    CHECK(fast_ones_have_their_parameters_in_registers),
};

PLAY(checks)
