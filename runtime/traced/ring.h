/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flavour `traced` of a library: the ring in the kernel's memory that its calls are noted in,
 * as ci/ring.py reads it out of a machine that stands still, also of a kernel that hung or died. It
 * begins on a page and lies in frames that follow each other. The layout is the same on both
 * architectures; numbers are little-endian.
 */
#ifndef VMI_RUNTIME_TRACED_H
#define VMI_RUNTIME_TRACED_H

#include "flavour.h"

#define VMI__TRACE_MAGIC   "vmi-flavour traced"
#define VMI__TRACE_VERSION 2

#define VMI__TRACE_RECORDS 65536u /* a power of two */
#define VMI__TRACE_WORDS   5

/* Kinds of record. */
#define VMI__TRACE_NONE      0 /* none yet, or one that is being written */
#define VMI__TRACE_ENTER     1
#define VMI__TRACE_LEAVE     2 /* of the last call that was entered with the same `frame` */
#define VMI__TRACE_HYPERCALL 3 /* of the library's, whatever for */
#define VMI__TRACE_ANSWER    4 /* of the last hypercall with the same `frame` */

struct vmi__trace_record {
    uint32_t sequence;   /* how many were begun before it, modulo 2^32 */
    uint32_t number;     /* the call's ordinal; the hypercall's number, 0 of an answer */
    uint16_t cpu, words; /* how many of `values` there are */
    uint32_t kind;
    uint64_t time;   /* by the CPU's TSC, cycles */
    uint64_t frame;  /* where it has its frame on the stack: says which call has come back */
    uint64_t caller; /* where a call returns to; 0 for one that is reached by a jump */
    /* Registers, zero-extended, and words of the stack: of the arguments, or of the results, in the
     * specification's order, a number's low one first. Of a hypercall the registers that its table
     * has for arguments, used or not; of an answer the result. */
    uint64_t values[VMI__TRACE_WORDS];
};

struct vmi__trace_ring {
    char magic[24]; /* VMI__TRACE_MAGIC, and zeroes; written last */
    uint32_t version, header_bytes, record_bytes, records;
    uint32_t word_bits, ordinals;
    /* Records begun: the next one's sequence, and how often that has gone round to 0. The one with
     * sequence n is, or was, records[n % records]. */
    uint32_t next, wraps;
    uint64_t frequency;            /* of the TSC, Hz; 0 if the library does not know it */
    uint32_t counts[VMI_ORDINALS]; /* calls entered, by ordinal, modulo 2^32 */
    struct vmi__trace_record entries[VMI__TRACE_RECORDS] __attribute__((aligned(8)));
};

/* Where a call has its arguments and its results: words of a frame, by their number. */
struct vmi__traced_call {
    uint8_t argument_words, result_words;
    uint8_t arguments[VMI__TRACE_WORDS], results[VMI__TRACE_WORDS];
};

/*
 * Around each transfer to the hypervisor (transfer.inc). `places`: words of the frame with the
 * number and the arguments, up to VMI__TRACE_PLACES_END; `place`: that with the result.
 */
#define VMI__TRACE_PLACES_END 0xffu
VMI__ROUTINE void vmi__trace_hypercall(const uint8_t *places,
                                       const struct vmi__flavour_frame *frame);
VMI__ROUTINE void vmi__trace_answer(uint32_t place, const struct vmi__flavour_frame *frame);

/* Generated (generate.py). */
extern const struct vmi__traced_call vmi__traced_calls[VMI_ORDINALS];

#endif
