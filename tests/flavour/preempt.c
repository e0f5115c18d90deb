/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A flavour in which a call that sets the base of FS does not come back before another thread has
 * run, if the kernel has left interrupts enabled: as an alarm may come right behind any call. It
 * says `# preempted N` when the machine ends: how often that came about.
 */
#include "flavour.h"

#define INTERRUPT_FLAG  0x200u
#define PATIENCE_CYCLES 20000000000ull

/* The library's own, past the flavour. */
void vmi__inner_console_write(const char *text, uint32_t length) VMI__ROUTINE;

static uint32_t switches, asked, preempted;

static uint64_t cycles(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

VMI__ROUTINE void vmi__flavour_enter(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    static char text[] = "# fs base asked=00 preempted=00\r\n";

    (void)frame;
    if (ordinal == VMI_ORDINAL_SET_LAZY_MODE)
        __atomic_add_fetch(&switches, 1, __ATOMIC_RELAXED);
    if (ordinal != VMI_ORDINAL_SHUTDOWN_REASON)
        return;
    text[16] = (char)('0' + asked / 10 % 10);
    text[17] = (char)('0' + asked % 10);
    text[29] = (char)('0' + preempted / 10 % 10);
    text[30] = (char)('0' + preempted % 10);
    vmi__inner_console_write(text, sizeof(text) - 1);
}

VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    uint64_t begun = cycles();
    uint32_t before = switches;
    uintptr_t flags;

    (void)frame;
    if (ordinal != VMI_ORDINAL_SET_FS_BASE)
        return;
    asked += asked < 99;
    __asm__ volatile("pushf; pop %0" : "=r"(flags));
    if (!(flags & INTERRUPT_FLAG))
        return;
    while (switches == before && cycles() - begun < PATIENCE_CYCLES)
        __asm__ volatile("pause");
    preempted += switches != before;
}
