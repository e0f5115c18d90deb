/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The KVM library's hypercalls for x86-64 as a Linux process: in place of the hypervisor the
 * transfer notes the registers.
 */
#include <kvm/hypercalls.h>

#include "backends/played.h"

/* kvm_transfer.inc: registers at the transfer, and what it returns. */
uint64_t at_transfer[5];
uint64_t returned;

/* With whole registers, whatever the prototypes' widths: callers leave anything above those. */
typedef int64_t whole(uint64_t first, uint64_t second, uint64_t third, uint64_t fourth);

extern whole send_ipi __asm__("vmi__kvm_hypercall_send_ipi");
extern whole map_gpa_range __asm__("vmi__kvm_hypercall_map_gpa_range");
extern whole kick_cpu __asm__("vmi__kvm_hypercall_kick_cpu");
extern whole sched_yield __asm__("vmi__kvm_hypercall_sched_yield");

#define DIRT 0xd1d1d1d100000000ull

static bool entered(uint32_t number, uint64_t rbx, uint64_t rcx, uint64_t rdx, uint64_t rsi)
{
    const uint64_t wanted[5] = {number, rbx, rcx, rdx, rsi};

    for (uint32_t i = 0; i < 5; i++) {
        if (at_transfer[i] != wanted[i])
            return false;
    }
    return true;
}

static void words_go_whole(void)
{
    uint32_t before = vmi__kvm_hypercall_send_ipi_count;

    returned = 0xfedcba9876543210;
    EXPECT(send_ipi(1ull << 63, DIRT | 2, DIRT | 3, DIRT | 4) == (int64_t)returned);
    EXPECT(entered(10, 1ull << 63, DIRT | 2, 3, 4));
    EXPECT(vmi__kvm_hypercall_send_ipi_count == before + 1);
    EXPECT(map_gpa_range(DIRT | 0x1000, DIRT | 1, DIRT | 16, 0) == (int64_t)returned);
    EXPECT(at_transfer[0] == 12 && at_transfer[1] == (DIRT | 0x1000) &&
           at_transfer[2] == (DIRT | 1) && at_transfer[3] == 16);
}

static void what_is_above_an_argument_stays_out(void)
{
    returned = (uint64_t)-1000;
    EXPECT(kick_cpu(DIRT, DIRT | 64, 0, 0) == -1000);
    EXPECT(at_transfer[0] == 5 && at_transfer[1] == 0 && at_transfer[2] == 64);
    EXPECT(sched_yield(DIRT | 7, 0, 0, 0) == -1000);
    EXPECT(at_transfer[0] == 11 && at_transfer[1] == 7);
}

static const struct played_check checks[] = {
    CHECK(words_go_whole),
    CHECK(what_is_above_an_argument_stays_out),
};

PLAY(checks)
