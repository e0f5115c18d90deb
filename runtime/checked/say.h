/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the flavour `checked` says on the library's console, and what becomes of the machine.
 */
#ifndef VMI_RUNTIME_CHECKED_SAY_H
#define VMI_RUNTIME_CHECKED_SAY_H

#include "checked.h"

/* Reads option `vmi.checked`. */
void vmi__checked_start(void);

/* A rule that is broken by the call at `from`, 0 for one that was reached by a jump. */
void vmi__checked_broken(const struct vmi__checked_call *call, const struct vmi__rule *rule,
                         const struct vmi__finding *finding, uintptr_t from);

/* One that is broken by the store at `from`. */
void vmi__checked_stored(const struct vmi__store *store, const struct vmi__finding *finding,
                         uintptr_t from);

/* The last line: how many rules were broken, and in how many calls. */
void vmi__checked_end(uint32_t calls);

#endif
