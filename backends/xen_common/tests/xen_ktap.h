/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * How the kernels of xen_checks.c and xen_checks64.c report what they have checked, as KTAP on the
 * console, and end.
 */
#ifndef XEN_KTAP_H
#define XEN_KTAP_H

#include <stdint.h>

#include <vmi/vmi.h>

#define PATIENCE 60000000000ull /* ns: longer than any event takes on a busy machine */

static uint32_t failures, checks;

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

static void print_number(uint32_t number)
{
    char digits[11], *digit = digits + sizeof(digits) - 1;

    *digit = 0;
    do {
        *--digit = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    print(digit);
}

/* Before the first check: how many there will be. */
static void plan(uint32_t count)
{
    print("KTAP version 1\r\n1..");
    print_number(count);
    print("\r\n");
}

/* `line`: where the check failed; 0 if it passed. */
static void check(const char *name, uint32_t line)
{
    failures += line != 0;
    print(line ? "not ok " : "ok ");
    print_number(++checks);
    print(" ");
    print(name);
    if (line) {
        print(" # line ");
        print_number(line);
    }
    print("\r\n");
}

/* In a check: the first that does not hold is its result. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

/* After the last check: the sums, and the machine is switched off. */
static void __attribute__((noreturn)) end(void)
{
    print("# result pass=");
    print_number(checks - failures);
    print(" fail=");
    print_number(failures);
    print(" skip=0\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, failures ? VMI_STATUS_FAIL : VMI_STATUS_PASS);
}

#endif
