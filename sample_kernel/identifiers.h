/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Process-context identifiers, of x86-64 where CR4.PCIDE is on: what the TLB of a CPU has of an
 * address space stays there while others are in use, as long as it is true.
 *
 * An address space has a version, a number that no other has or had. Where a translation is taken
 * away or changed it gets another one. A CPU keeps in mind which versions its identifiers are for.
 * One that it does not know gets an identifier that is emptied as it is loaded. So a CPU where an
 * address space was in use before need not be told of what was taken away since. The kernel's part
 * is in all of them: at another version of that a CPU forgets all others.
 */
#ifndef IDENTIFIERS_H
#define IDENTIFIERS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether they are in use. */
extern bool identifiers_on;

/*
 * A version for an address space that is new, or one of whose entries is not what it was. The
 * caller has written that already, and drops what the CPUs have that use it now.
 */
void identifiers_renew(uintptr_t *version);

/*
 * What CR3 has beside the root: identifier, and CR3_KEEP if a CPU's TLB is not to be emptied of
 * what it has by that. `kernel` is the version of the kernel's address space, whose identifier is
 * 0. Interrupts are masked until it is loaded.
 */
uintptr_t identifiers_choose(uint32_t cpu, uintptr_t version, uintptr_t kernel);

/* How often that was CR3_KEEP on a CPU. */
uint32_t identifiers_kept(uint32_t cpu);

#endif
