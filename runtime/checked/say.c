/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "say.h"

/* Violations that are said in full; the others are counted. */
#define SAID_MOST 10

/* Of the library, past the flavour. */
void vmi__inner_shutdown_reason(uint32_t reason, uint32_t status) VMI__ROUTINE;

static uint32_t broken, said_most = SAID_MOST;
static bool stop;

void vmi__checked_start(void)
{
    const char *value;
    uint32_t length;

    if (!vmi__option("vmi.checked", &value, &length))
        return;
    stop = vmi__is_word("stop", value, length);
    if (vmi__is_word("all", value, length))
        said_most = UINT32_MAX;
    else if (!stop)
        vmi__fatal("vmi.checked= is none of stop, all: give one of them, or leave it out");
}

static void say_number(uint64_t number, uint32_t base)
{
    char digits[21], *digit = digits + sizeof(digits) - 1;
    uint32_t low = (uint32_t)number;

    *digit = 0;
    if (base == 16)
        do
            *--digit = "0123456789abcdef"[number & 15];
        while (number >>= 4);
    else
        do
            *--digit = (char)('0' + low % 10);
        while (low /= 10);
    vmi__print(digit);
}

/* `where` is what stands before the address, which is not said if it is 0. */
static void say(const char *who, const struct vmi__rule *rule, const struct vmi__finding *finding,
                const char *where, uintptr_t from, const char *reference)
{
    if (++broken <= said_most) {
        vmi__print("\r\n# checked: ");
        vmi__print(who);
        vmi__print(" breaks ");
        vmi__print(rule->name);
        vmi__print(": ");
        vmi__print(rule->words);
        vmi__print("\r\n# checked:   found: ");
        vmi__print(finding->what);
        for (uint32_t i = 0; i < 2 && finding->values[i].name; i++) {
            vmi__print(i ? ", " : ": ");
            vmi__print(finding->values[i].name);
            vmi__print(" 0x");
            say_number(finding->values[i].value, 16);
        }
        if (from) {
            vmi__print("\r\n# checked:   ");
            vmi__print(where);
            vmi__print(": 0x");
            say_number(from, 16);
        }
        if (finding->store) {
            vmi__print("\r\n# checked:   store: 0x");
            say_number(finding->store, 16);
        }
        vmi__print("\r\n# checked:   mend: ");
        vmi__print(rule->mend);
        vmi__print("\r\n# checked:   see ");
        vmi__print(reference);
        vmi__print("\r\n");
    }
    if (stop)
        vmi__inner_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_BROKEN_RULE);
}

void vmi__checked_broken(const struct vmi__checked_call *call, const struct vmi__rule *rule,
                         const struct vmi__finding *finding, uintptr_t from)
{
    say(call->name, rule, finding, "caller", from, call->reference);
}

void vmi__checked_stored(const struct vmi__store *store, const struct vmi__finding *finding,
                         uintptr_t from)
{
    say("a store", &store->rule, finding, "store", from, store->reference);
}

void vmi__checked_end(uint32_t calls)
{
    vmi__print("\r\n# checked: rules broken=");
    say_number(broken, 10);
    vmi__print(" checked calls=");
    say_number(calls, 10);
    vmi__print("\r\n");
}
