/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A flavour that counts each call, and says at the end of the machine what it has counted: lines
 * `# flavour ORDINAL entered=N left=N`, as of the instant of the kernel's own snapshot.
 */
#include "flavour.h"

/* What SetDR is given at that instant (docs/architecture.md, "Guest output"). */
#define MARK 0x43494d56u

/* The library's own, past the flavour. */
void vmi__inner_console_write(const char *text, uint32_t length) VMI__ROUTINE;

static uint32_t entered[VMI_ORDINALS], left[VMI_ORDINALS];
static uint32_t entered_then[VMI_ORDINALS], left_then[VMI_ORDINALS];

static void say(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi__inner_console_write(text, length);
}

static void say_number(uint32_t number)
{
    char digits[11], *digit = digits + sizeof(digits) - 1;

    *digit = 0;
    do
        *--digit = (char)('0' + number % 10);
    while (number /= 10);
    say(digit);
}

static void say_all(void)
{
    for (uint32_t i = 0; i < VMI_ORDINALS; i++) {
        if (!entered_then[i])
            continue;
        say("# flavour ");
        say_number(i);
        say(" entered=");
        say_number(entered_then[i]);
        say(" left=");
        say_number(left_then[i]);
        say("\r\n");
    }
}

#ifdef __x86_64__
#define SECOND rsi
#else
#define SECOND edx
#endif

VMI__ROUTINE void vmi__flavour_enter(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    if (ordinal == VMI_ORDINAL_SET_DR && (uint32_t)frame->SECOND == MARK) {
        memcpy(entered_then, entered, sizeof(entered));
        memcpy(left_then, left, sizeof(left));
    }
    if (ordinal == VMI_ORDINAL_SHUTDOWN_REASON)
        say_all();
    __atomic_add_fetch(&entered[ordinal], 1, __ATOMIC_RELAXED);
}

VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    (void)frame;
    __atomic_add_fetch(&left[ordinal], 1, __ATOMIC_RELAXED);
}
