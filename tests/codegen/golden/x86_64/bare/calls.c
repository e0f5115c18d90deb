/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and bare/backend.yaml by the template calls.c.j2; do not edit. */
/*
 * What a kernel may read about the library for Bare: how each call is done, and the hypercalls with
 * their counters.
 */
#include "bare/hypercalls.h"

#include <vmi/vmi.h>

const struct vmi_call_info vmi_calls[] = {
    {"Probe", VMI_ORDINAL_PROBE, VMI_KIND_ROUTINE, "vmi__bare_probe", 0},
    {"Load", VMI_ORDINAL_LOAD, VMI_KIND_INSTRUCTION,
     "mov %rdi, %cr3 with fast, else vmi__bare_load with wide, else mov %rdi, %cr2", 0},
    {"Store", VMI_ORDINAL_STORE, VMI_KIND_ROUTINE, "vmi__bare_store", 0},
    {"Clock", VMI_ORDINAL_CLOCK, VMI_KIND_INSTRUCTION, "rdtsc", 0},
    {"Return", VMI_ORDINAL_RETURN, VMI_KIND_INSTRUCTION, "iretq", 0},
    {"Fetch", VMI_ORDINAL_FETCH, VMI_KIND_UNSUPPORTED, "a machine has no | state", 0},
    {"Stop", VMI_ORDINAL_STOP, VMI_KIND_ROUTINE, "vmi__bare_stop", 0},
    {"Base", VMI_ORDINAL_BASE, VMI_KIND_ROUTINE, "vmi__bare_base", 0},
    {"Gate", VMI_ORDINAL_GATE, VMI_KIND_INSTRUCTION, "mov %rsi, (%rdi)", 0},
};
const uint32_t vmi_calls_count = 9;

/* No hypercalls: an array has at least one entry, and this one is not counted. */
const struct vmi_hypercall_info vmi_hypercalls[] = {{0, 0, 0}};
const uint32_t vmi_hypercalls_count = 0;
