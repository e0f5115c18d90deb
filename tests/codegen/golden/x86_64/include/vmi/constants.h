/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template constants.h.j2; do not edit. */
/**
 * @file
 * Numbers of the Virtual Machine Interface, version 3.1, for C, C++ and assembly.
 */
#ifndef VMI_CONSTANTS_H
#define VMI_CONSTANTS_H

/* Flags and large numbers are unsigned in C; assembly knows plain numbers only. */
#ifdef __ASSEMBLER__
#define VMI__UNSIGNED(number) number
#else
#define VMI__UNSIGNED(number) number##u
#endif

/** Version of the interface. */
#define VMI_API_MAJOR 3
#define VMI_API_MINOR 1

/*
 * Errors.
 * Since 3.0; source: errno.h.
 */
#define VMI_EINVAL (-22)                         /**< An argument is outside its range. */
#define VMI_ENOSYS (-38)                         /**< This backend does not have the call. */

/*
 * How a backend does a call.
 * Since 3.0; source: SDK.
 */
#define VMI_KIND_INSTRUCTION 0                   /**< By the bare instruction. */
#define VMI_KIND_HYPERCALL 1                     /**< By a hypercall. */
#define VMI_KIND_ROUTINE 2                       /**< By a routine. */
#define VMI_KIND_UNSUPPORTED 3                   /**< Not at all. */

/*
 * Modes of Store.
 * Since 3.1; source: SDK.
 */
#define VMI_MODE_NOW VMI__UNSIGNED(0x0)          /**< At once. */
#define VMI_MODE_LATER VMI__UNSIGNED(0x80000000) /**< Later. */

/* Sizes and offsets of structures, in bytes. */
#define VMI_SIZEOF_STATE 40
#define VMI_OFFSETOF_STATE_KIND 0
#define VMI_OFFSETOF_STATE_TIME 8
#define VMI_OFFSETOF_STATE_VALUES 16
#define VMI_OFFSETOF_STATE_RSP 32

/* Ordinals of the calls. */
#define VMI_ORDINAL_PROBE 0                      /**< Probe */
#define VMI_ORDINAL_LOAD 1                       /**< Load */
#define VMI_ORDINAL_STORE 2                      /**< Store */
#define VMI_ORDINAL_CLOCK 3                      /**< Clock */
#define VMI_ORDINAL_RETURN 4                     /**< Return */
#define VMI_ORDINAL_FETCH 128                    /**< Fetch */
#define VMI_ORDINAL_STOP 129                     /**< Stop */
#define VMI_ORDINAL_BASE 130                     /**< Base */
#define VMI_ORDINAL_GATE 131                     /**< Gate */
#define VMI_ORDINALS 132                         /**< One more than the highest. */

/*
 * The calls that assembly reaches by a jump. Each is recorded, like a wrapper's call in vmi/vmi.h, so
 * that it can be bound when the kernel starts.
 */
#ifdef __ASSEMBLER__
#ifdef VMI_COUNT_CALLS
#define VMI__COUNT_JUMP(ordinal) lock incl vmi_call_count + 4 * ordinal(%rip)
#else
#define VMI__COUNT_JUMP(ordinal)
#endif
#ifdef VMI_INLINE
.include VMI_INLINE
#define VMI__JUMP(ordinal, symbol, length)                                                         \
    VMI__COUNT_JUMP(ordinal);                                                                      \
    inline_##symbol
#elif defined(VMI_POINTER)
#if defined(__CET__) && (__CET__ & 1)
#define VMI__UNTRACKED notrack
#else
#define VMI__UNTRACKED
#endif
#define VMI__JUMP(ordinal, symbol, length)                                                         \
    VMI__COUNT_JUMP(ordinal);                                                                      \
    VMI__UNTRACKED jmp *vmi__pointers + 8 * ordinal(%rip)
#else
#define VMI__JUMP(ordinal, symbol, length)                                                         \
    VMI__COUNT_JUMP(ordinal);                                                                      \
    771 : jmp symbol;                                                                              \
    .pushsection .vmi.sites, "a";                                                                  \
    .long 771b - .;                                                                                \
    .short ordinal, 0;                                                                             \
    .byte length, 0, 0, 0;                                                                         \
    .popsection
#endif
/** Return: Return from an interrupt. */
#define VMI_RETURN VMI__JUMP(4, vmi_return, 5)
#endif

#endif
