/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "identifiers.h"

#include "cpus.h"
#include "string.h"
#include "x86.h"

/* Of a CPU: as many address spaces as take turns there. The first is the kernel's. */
#define IDENTIFIERS 8

struct identifiers {
    uintptr_t kernel;                /* version of the kernel's part */
    uintptr_t versions[IDENTIFIERS]; /* what each is for; 0: nothing */
    uint32_t last;                   /* that was given away */
    uint32_t kept;
};

static struct identifiers identifiers[CPUS_MAX];
static uintptr_t last_version;

bool identifiers_on;

void identifiers_renew(uintptr_t *version)
{
    uintptr_t next = __atomic_add_fetch(&last_version, 1, __ATOMIC_RELAXED);
    __atomic_store_n(version, next, __ATOMIC_RELEASE);
}

uintptr_t identifiers_choose(uint32_t cpu, uintptr_t version, uintptr_t kernel)
{
    struct identifiers *here = &identifiers[cpu];
    uint32_t chosen = 0;

    if (here->kernel != kernel) {
        here->kernel = kernel;
        memset(here->versions, 0, sizeof(here->versions));
    }
    if (version != kernel) {
        for (chosen = 1; chosen < IDENTIFIERS && here->versions[chosen] != version;)
            chosen++;
        if (chosen == IDENTIFIERS)
            chosen = here->last = here->last % (IDENTIFIERS - 1) + 1;
    }
    if (here->versions[chosen] == version) {
        here->kept++;
        return chosen | CR3_KEEP;
    }
    here->versions[chosen] = version;
    return chosen;
}

uint32_t identifiers_kept(uint32_t cpu)
{
    return identifiers[cpu].kept;
}
