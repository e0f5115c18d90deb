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
#define VMI__TRACE_VERSION 1

#define VMI__TRACE_RECORDS 65536u /* a power of two */
#define VMI__TRACE_WORDS   5

/* Kinds of record. */
#define VMI__TRACE_NONE  0 /* none yet, or one that is being written */
#define VMI__TRACE_ENTER 1
#define VMI__TRACE_LEAVE 2 /* of the last call that was entered with the same `frame` */

struct vmi__trace_record {
    uint32_t sequence; /* how many were begun before it, modulo 2^32 */
    uint16_t ordinal, cpu;
    uint32_t kind, words; /* how many of `values` there are */
    uint64_t time;        /* by the CPU's TSC, cycles */
    uint64_t frame;  /* where the call has its frame on the stack: says which call has come back */
    uint64_t caller; /* where it returns to, 0 for one that is reached by a jump */
    /* Registers, zero-extended, and words of the stack: of the arguments, or of the results, in the
     * specification's order, a number's low one first. */
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

/* Generated (generate.py). */
extern const struct vmi__traced_call vmi__traced_calls[VMI_ORDINALS];

#endif
