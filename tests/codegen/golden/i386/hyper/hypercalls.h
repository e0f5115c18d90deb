/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template hypercalls.h.j2; do not edit. */
/**
 * @file
 * Hypercalls of the library for Hyper: numbers, counters and, in C, functions; in assembly, the
 * macro that enters the hypervisor.
 */
#ifndef VMI__HYPER_HYPERCALLS_H
#define VMI__HYPER_HYPERCALLS_H

/* Numbers. */
#define vmi__hyper_call_load_number 7    /**< HYPER_load */
#define vmi__hyper_call_store_number 8   /**< store */
#define vmi__hyper_call_fetch_number 9   /**< fetch */

#ifdef __ASSEMBLER__
#ifdef VMI_TRANSFER_OVERRIDE
/* A header that defines the macros below in its own way. */
#include VMI_TRANSFER_OVERRIDE
#else
#ifdef VMI_TRANSFER_WATCHED
/* A header with what is put around each transfer. */
#include VMI_TRANSFER_WATCHED
#endif
/*
 * Enters the hypervisor: number in eax, arguments in ebx, ecx, edx, esi as far as used; result in
 * eax. Destroys the argument registers that were used.
 */
        .macro vmi__hyper_transfer
#ifdef VMI_TRANSFER_WATCHED
        /* Words of struct vmi__flavour_frame: number, arguments. */
        vmi__transfer_begins 0, 3, 1, 2, 5
#endif
        int $0x82
#ifdef VMI_TRANSFER_WATCHED
        vmi__transfer_ends 0
#endif
        .endm
#endif
#else
#include <vmi/vmi.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * load (7): Load a value.
 *
 * @param value The value. (ebx)
 * @return what the hypervisor returned (eax)
 *
 * Source: hyper.h.
 */
int32_t vmi__hyper_call_load(uint32_t value)
    __attribute__((__cdecl__, __regparm__(0)));
/** How often it was made. */
extern uint32_t vmi__hyper_call_load_count;

/**
 * store (8): Store.
 *
 * @param mode (ebx)
 * @param high (ecx)
 * @param low (edx)
 * @param name (esi)
 * @return what the hypervisor returned (eax)
 */
int32_t vmi__hyper_call_store(uint32_t mode, uint32_t high, uint32_t low, const char *name)
    __attribute__((__cdecl__, __regparm__(0)));
/** How often it was made. */
extern uint32_t vmi__hyper_call_store_count;

/**
 * fetch (9): Fetch.
 * Obsolete: use load
 *
 * @param to (ebx)
 * @param limit (edx:ecx)
 * @return what the hypervisor returned (eax)
 */
int32_t vmi__hyper_call_fetch(struct vmi_state *to, uint64_t limit)
    __attribute__((__cdecl__, __regparm__(0)));
/** How often it was made. */
extern uint32_t vmi__hyper_call_fetch_count;

#ifdef __cplusplus
}
#endif
#endif

#endif
