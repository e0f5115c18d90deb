/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * runtime/forms.c as a process, with entry points and a table of its own (forms.S), a processor
 * that is played, and control registers that are variables. Arguments: leaf, subleaf, register and
 * bit of each feature that the processor has, in hexadecimal and joined by commas. Prints the entry
 * points' bytes, what they return, and what became of CR0.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "forms.h"
#include "runtime.h"

#define PAGE 4096

extern uint8_t entries[], entries_end[];
extern uint32_t copied(void), jumped(void), alone(void);

uintptr_t test_cr0 = 0x80010033;
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
        access |= PROT_WRITE;
        test_writable++;
    }
    test_cr0 = value;
    if (mprotect(start, (size_t)(entries_end - start), access))
        exit(2);
}

int main(int count, char **arguments)
{
    features = arguments + 1;
    features_count = (uint32_t)count - 1;
    vmi__forms_choose();
    for (const uint8_t *entry = entries; entry < entries_end; entry += VMI__FORM_ROOM) {
        for (uint32_t i = 0; i < VMI__FORM_ROOM; i++)
            printf("%02x", entry[i]);
        printf("\n");
    }
    printf("%u %u %u\n", copied(), jumped(), alone());
    printf("%#lx %u\n", (unsigned long)test_cr0, test_writable);
    return 0;
}
