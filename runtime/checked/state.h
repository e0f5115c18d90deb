/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the flavour `checked` remembers of calls, but for frames (frames.h).
 */
#ifndef VMI_RUNTIME_CHECKED_STATE_H
#define VMI_RUNTIME_CHECKED_STATE_H

#include "checked.h"

#define VMI__CHECKED_CPUS 64
#define VMI__IDTS         8

#define VMI__GATES 256

/* A table of gates that SetIDT was told of, and a sum of each gate as the library knows it. */
struct vmi__idt {
    uintptr_t base;
    uint32_t gates;
    uint32_t sums[VMI__GATES];
    uintptr_t store; /* an instruction that wrote a gate past the calls, 0 for none that is known */
};

struct vmi__checked_state {
    struct {
        uintptr_t root, user_root; /* as SetCR3 was told; 0: not yet */
        uint32_t lazy;             /* as SetLazyMode was told */
        bool user_access;          /* between BeginUserAccess and EndUserAccess */
        bool stale;                /* SetGDT was called, and interrupts have not been let in */
    } cpus[VMI__CHECKED_CPUS];
    struct vmi__idt idts[VMI__IDTS];
    uint32_t rebinding; /* number of the CPU that is in Rebind, plus 1 */
};

extern struct vmi__checked_state vmi__checked_state;

/* The first gate from that one on that is not as the library knows it; VMI__GATES if all are. */
uint32_t vmi__idt_changed(const struct vmi__idt *idt, uint32_t from);

/* All gates are known as they are now. */
void vmi__idt_known(struct vmi__idt *idt);

/* A gate of a table was written by an instruction of the kernel's. */
void vmi__idt_stored(uintptr_t base, uintptr_t from);

/* A gate of a table is about to be written, by a call or by the library: it is known so. */
void vmi__idt_gate_changes(uintptr_t base, uint32_t index, const uint32_t *words);

/* Whether anything is remembered of a call. */
bool vmi__checked_noting(uint32_t ordinal);

/* A call is about to be made, its checks are done; it has been made. */
void vmi__checked_note(const struct vmi__call *call);
void vmi__checked_noted(uint32_t ordinal);

#endif
