/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * runtime/forms.c as a process, with entry points and a table of its own (forms.S), a processor
 * that is played, and control registers that are variables. Arguments: leaf, subleaf, register and
 * bit of each feature that the processor has, in hexadecimal and joined by commas; "without=MASK"
 * for features that are left out; "cet" has CR4.CET on. Behind "next" the same of the processor
 * that comes then. Prints of the last the entry points' bytes, what they return, CR0, how often
 * code was made writable, and CR4.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "forms.h"
#include "runtime.h"

#define PAGE 4096
#define CET  0x800000u

extern uint8_t entries[], entries_end[];
extern uint32_t copied(void), jumped(void), alone(void), short_one(void) __asm__("short");

uintptr_t test_cr0 = 0x80010033, test_cr4 = 0xa0;
uint32_t test_writable; /* stores to CR0 with WP off */

static char **features;
static uint32_t features_count;

/* What CPUID answers: highest leaves 7 and 0x80000001, a leaf above as the highest. */
void test_cpuid(uint32_t *registers);
void test_cpuid(uint32_t *registers)
{
    uint32_t leaf = registers[0], subleaf = registers[2], most = (leaf & 0x80000000u) | 7;

    if (leaf & 0x80000000u)
        most = 0x80000001u;
    memset(registers, 0, 4 * sizeof(*registers));
    if (!(leaf & 0x7fffffffu)) {
        registers[0] = most;
        return;
    }
    if (leaf > most)
        leaf = most;
    for (uint32_t i = 0; i < features_count; i++) {
        uint32_t at, below, number, bit;

        if (sscanf(features[i], "%x,%x,%x,%x", &at, &below, &number, &bit) == 4 && at == leaf &&
            below == subleaf)
            registers[number] |= 1u << bit;
    }
}

void test_set_cr0(uintptr_t value);
void test_set_cr0(uintptr_t value)
{
    uint8_t *start = (uint8_t *)((uintptr_t)entries & ~(uintptr_t)(PAGE - 1));
    int access = PROT_READ | PROT_EXEC;

    if (!(value & 0x10000)) {
        if (test_cr4 & CET)
            exit(3); /* #GP */
        access |= PROT_WRITE;
        test_writable++;
    }
    test_cr0 = value;
    if (mprotect(start, (size_t)(entries_end - start), access))
        exit(2);
}

/* Takes the arguments of one processor. */
static void choose(char **arguments, uint32_t count)
{
    uint32_t without = 0;

    features = arguments;
    features_count = count;
    for (uint32_t i = 0; i < count; i++) {
        sscanf(arguments[i], "without=%x", &without);
        if (!strcmp(arguments[i], "cet"))
            test_cr4 |= CET;
    }
    vmi__forms_choose(without);
}

int main(int count, char **arguments)
{
    int first = 1;

    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "next") != 0)
            continue;
        choose(arguments + first, (uint32_t)(i - first));
        test_writable = 0;
        first = i + 1;
    }
    choose(arguments + first, (uint32_t)(count - first));
    for (const uint8_t *entry = entries; entry < entries_end; entry += VMI__FORM_ROOM) {
        for (uint32_t i = 0; i < VMI__FORM_ROOM; i++)
            printf("%02x", entry[i]);
        printf("\n");
    }
    printf("%u %u %u %u\n", copied(), jumped(), alone(), short_one());
    printf("%#lx %u %#lx\n", (unsigned long)test_cr0, test_writable, (unsigned long)test_cr4);
    return 0;
}
