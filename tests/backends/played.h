/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * For checks of a library's C that run as a Linux process without a C library (played.py):
 * the file that includes this plays the machine, has `checks[]` with a row CHECK(name) for each,
 * and ends with PLAY(checks).
 */
#ifndef VMI_TESTS_PLAYED_H
#define VMI_TESTS_PLAYED_H

#include "played_check.h"

/*
 * Linux, arch/x86/entry/syscalls/syscall_32.tbl: a 64-bit process may make these calls too, with
 * what they point to below 4 GiB.
 */
#define SYS_EXIT  1
#define SYS_WRITE 4
#define SYS_KILL  37
#define SYS_CLONE 120

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition) && !failed_line)                                                          \
            failed_line = __LINE__;                                                                \
    } while (0)

/*
 * What holds whatever the machine does that is played, and what it reaches by an address that it
 * was given: tests/fuzz/played/ has both otherwise.
 */
#define ALWAYS(condition)       EXPECT(condition)
#define REACHED(address, bytes) ((void *)(uintptr_t)(address))

/* HYPERCALL: of a library's hypercalls, where a check defines them in the hypervisor's stead. */
#ifdef __x86_64__
#define HYPERCALL
#define CALL_DESTROYS "r8", "r9", "r10", "r11", "memory"
#else
#define HYPERCALL     __attribute__((regparm(0)))
#define CALL_DESTROYS "memory"
#endif

static int call(int number, uint32_t a, uint32_t b, uint32_t c)
{
    int result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "0"(number), "b"(a), "c"(b), "d"(c)
                     : CALL_DESTROYS);
    return result;
}

static void put(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    call(SYS_WRITE, 1, (uint32_t)(uintptr_t)text, length);
}

static void put_number(uint32_t number)
{
    static char digits[2];

    if (number >= 10)
        put_number(number / 10);
    digits[0] = (char)('0' + number % 10);
    put(digits);
}

/* Runs all checks, prints "ok NAME" or "not ok NAME: line N" of each, and ends the process. */
__attribute__((noreturn)) static void play(const struct played_check *checks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        failed_line = 0;
        checks[i].run();
        put(failed_line ? "not ok " : "ok ");
        put(checks[i].name);
        if (failed_line) {
            put(": line ");
            put_number(failed_line);
        }
        put("\n");
    }
    call(SYS_EXIT, 0, 0, 0);
    __builtin_unreachable();
}

void _start(void);

#define PLAY(checks)                                                                               \
    void _start(void)                                                                              \
    {                                                                                              \
        play(checks, sizeof(checks) / sizeof((checks)[0]));                                        \
    }

#endif
