/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template calls.c.j2; do not edit. */
/*
 * What a kernel may read about the library for Hyper: how each call is done, and the hypercalls
 * with their counters.
 */
#include "hyper/hypercalls.h"

#include <vmi/vmi.h>

const struct vmi_call_info vmi_calls[] = {
    {"Probe", VMI_ORDINAL_PROBE, VMI_KIND_ROUTINE, "vmi__bare_probe", 0},
    {"Load", VMI_ORDINAL_LOAD, VMI_KIND_HYPERCALL, "load", 0},
    {"Store", VMI_ORDINAL_STORE, VMI_KIND_HYPERCALL, "store", 0},
    {"Clock", VMI_ORDINAL_CLOCK, VMI_KIND_ROUTINE, "vmi__hyper_clock", 0},
    {"Return", VMI_ORDINAL_RETURN, VMI_KIND_INSTRUCTION, "iret", 0},
    {"Fetch", VMI_ORDINAL_FETCH, VMI_KIND_HYPERCALL, "fetch, load", 0},
    {"Stop", VMI_ORDINAL_STOP, VMI_KIND_HYPERCALL, "load", 0},
    {"Gate", VMI_ORDINAL_GATE, VMI_KIND_ROUTINE, "vmi__bare_gate", 0},
};
const uint32_t vmi_calls_count = 8;

const struct vmi_hypercall_info vmi_hypercalls[] = {
    {"load", vmi__hyper_call_load_number, &vmi__hyper_call_load_count},
    {"store", vmi__hyper_call_store_number, &vmi__hyper_call_store_count},
    {"fetch", vmi__hyper_call_fetch_number, &vmi__hyper_call_fetch_count},
};
const uint32_t vmi_hypercalls_count = 3;
