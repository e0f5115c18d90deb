/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What compilers call on their own beside the four functions of string.c, under names that they and
 * their ABIs set. All weak: a kernel may bring its own.
 */
#include "runtime.h"

static void __attribute__((noreturn)) stop(const char *text, uint32_t length)
{
    vmi_console_write(text, length);
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}

#ifndef __x86_64__
/* ---- 64-bit shifts ---- */

/*
 * Called by clang -Oz (compiler-rt, lib/builtins/README.txt; also of libgcc). They work on halves,
 * so as not to call themselves; a count of 64 or more is undefined.
 */
union halves {
    uint64_t whole;
    struct {
        uint32_t low, high;
    } half;
};

uint64_t __ashldi3(uint64_t value, int count) __attribute__((weak));
uint64_t __lshrdi3(uint64_t value, int count) __attribute__((weak));
int64_t __ashrdi3(int64_t value, int count) __attribute__((weak));

uint64_t __ashldi3(uint64_t value, int count)
{
    union halves in = {.whole = value}, out = in;

    if (count & 32) {
        out.half.low = 0;
        out.half.high = in.half.low << (count & 31);
    } else if (count) {
        out.half.low = in.half.low << count;
        out.half.high = in.half.high << count | in.half.low >> (32 - count);
    }
    return out.whole;
}

/* A right shift that fills with `sign`: 0, or all ones. */
static uint64_t shift_right(uint64_t value, int count, uint32_t sign)
{
    union halves in = {.whole = value}, out = in;
    uint32_t fill;

    if (!count)
        return value;
    fill = count & 31 ? sign << (32 - (count & 31)) : 0;
    if (count & 32) {
        out.half.low = in.half.high >> (count & 31) | fill;
        out.half.high = sign;
    } else {
        out.half.low = in.half.low >> count | in.half.high << (32 - count);
        out.half.high = in.half.high >> count | fill;
    }
    return out.whole;
}

uint64_t __lshrdi3(uint64_t value, int count)
{
    return shift_right(value, count, 0);
}

int64_t __ashrdi3(int64_t value, int count)
{
    return (int64_t)shift_right((uint64_t)value, count, value < 0 ? ~0u : 0);
}

#endif

/* ---- stack protector ---- */

/*
 * -fstack-protector with -mstack-protector-guard=global (GCC manual, x86 options). A byte of zero
 * ends what string functions copy. A kernel may choose another guard, in a function that is not
 * protected.
 */
extern uintptr_t __stack_chk_guard;
uintptr_t __stack_chk_guard __attribute__((weak)) = 0x000aff0d;

void __stack_chk_fail(void) __attribute__((weak, noreturn));
void __stack_chk_fail_local(void) __attribute__((weak, noreturn, visibility("hidden")));

void __stack_chk_fail(void)
{
    static const char text[] = "vmi: a function has written beyond its variables on the stack\r\n";

    stop(text, sizeof(text) - 1);
}

/* Of position-independent code. */
void __stack_chk_fail_local(void)
{
    __stack_chk_fail();
}

/* ---- C++ ---- */

/* Itanium C++ ABI, 3.3.6 and 3.2.6. A kernel does not come back, so nothing is destroyed. */
extern void *__dso_handle;
void *__dso_handle __attribute__((weak));

int __cxa_atexit(void (*destroy)(void *), void *object, void *dso) __attribute__((weak));
void __cxa_pure_virtual(void) __attribute__((weak, noreturn));

int __cxa_atexit(void (*destroy)(void *), void *object, void *dso)
{
    (void)destroy;
    (void)object;
    (void)dso;
    return 0;
}

void __cxa_pure_virtual(void)
{
    static const char text[] = "vmi: a pure virtual function was called\r\n";

    stop(text, sizeof(text) - 1);
}
