/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template vmi.h.j2; do not edit. */
/**
 * @file
 * The Virtual Machine Interface, version 3.1, for x86_64: types, structures and one wrapper per
 * call. Needs no other header than vmi/constants.h and no C library. A wrapper is one direct call
 * of the library's symbol of the same name; its operands tell the compiler exactly which registers
 * the call reads, writes and destroys.
 */
#ifndef VMI_VMI_H
#define VMI_VMI_H

#if !defined(__x86_64__)
#error "vmi/vmi.h is for x86_64 only; compile for it (on a PC: -m64)"
#endif

/*
 * Nobody saves vector registers where the kernel is interrupted or enters the library. A kernel that saves
 * them itself says so by VMI_ALLOW_SSE. bindgen reads declarations and makes no code.
 */
#if defined(__SSE__) && !defined(VMI_ALLOW_SSE) && !defined(__BINDGEN__)
#error "vmi/vmi.h: this compilation uses SSE registers, which nobody saves; add -mno-red-zone -mgeneral-regs-only (or define VMI_ALLOW_SSE if the kernel saves them itself)"
#endif

#include <vmi/constants.h>

/*
 * Fixed-width integers: those of <stdint.h> if it was included, which UINT32_MAX tells, else the
 * compiler's own, which are the same.
 */
#if !defined(UINT32_MAX) && !defined(VMI__INTEGERS)
#define VMI__INTEGERS
typedef __INT8_TYPE__ int8_t;
typedef __UINT8_TYPE__ uint8_t;
typedef __INT16_TYPE__ int16_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __INT32_TYPE__ int32_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __INTPTR_TYPE__ intptr_t;
typedef __UINTPTR_TYPE__ uintptr_t;
#endif

/* An assertion when compiling, in every standard from C99 and C++98 on. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define VMI__ASSERT(name, condition) static_assert(condition, #name)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define VMI__ASSERT(name, condition) _Static_assert(condition, #name)
#else
#define VMI__ASSERT(name, condition) typedef char vmi__assert_##name[(condition) ? 1 : -1]
#endif
#define VMI__OFFSET(structure, field, offset)                                                      \
    VMI__ASSERT(structure##_##field, __builtin_offsetof(struct vmi_##structure, field) == (offset))

/*
 * Symbols that an asm names are operands of it: what stands in its text alone is unknown to link-time
 * optimization, which then drops the function or never takes it from its archive. In
 * position-independent code no address is a constant; there the text has to do.
 */
#ifdef __PIC__
#define VMI__NAMED(name, symbol) [name] "i"(0)
#define VMI__NAME(operand, text) text
#else
#define VMI__NAMED(name, symbol) [name] "i"(symbol)
#define VMI__NAME(operand, text) operand
#endif

/*
 * With VMI_COUNT_CALLS each call first counts itself in vmi_call_count. The flags that `lock incl`
 * changes need no clobber: on this architecture compilers take them as changed by every asm.
 */
#ifdef VMI_COUNT_CALLS
#define VMI__COUNT(ordinal)                                                                        \
    "lock incl " VMI__NAME("%c[counter]", "vmi_call_count+4*" ordinal) "(%%rip)\n\t"
#define VMI__SYMBOLS(ordinal, function)                                                            \
    VMI__NAMED(target, function), VMI__NAMED(counter, &vmi_call_count[ordinal])
#else
#define VMI__COUNT(ordinal)
#define VMI__SYMBOLS(ordinal, function) VMI__NAMED(target, function)
#endif

/*
 * Compilers guess from its lines how long an asm is; records are none of the code. Told so, they inline
 * as they would without them. Source: GCC manual, "Size of an asm".
 */
#if defined(__clang__) ? __clang_major__ >= 11 : __GNUC__ >= 9
#define VMI__ASM __asm__ __inline__ __volatile__
#else
#define VMI__ASM __asm__ __volatile__
#endif

/*
 * The call itself, and its record of 12 bytes in section .vmi.sites: distance of the site from the
 * record, ordinal, the registers that live on across it (a bit for each, by the processor's
 * numbers; bit 4 stands for the flags), and the length of the site. From these records a kernel's calls can be bound when it starts. A site has room for
 * the instructions of plain hardware; what a call leaves of it is one long nop. The record belongs
 * to the code's section group (`?`), so that a linker that drops one of two instances of a C++
 * inline function drops its records too.
 *
 * With VMI_INLINE there are no sites: the assembler's macros of NAME-inline.inc stand in the code,
 * which then is for that one backend. With VMI_POINTER there are none either: calls go through the
 * table of pointers.S. Both are there for comparison.
 */
#ifdef VMI_INLINE
__asm__(".ifndef vmi__inline\n\t"
        ".set vmi__inline, 1\n\t"
        ".include \"" VMI_INLINE "\"\n\t"
        ".endif");
#define VMI__CALL(ordinal, symbol, live, length)                                                   \
    VMI__COUNT(ordinal)                                                                            \
    "inline_" symbol "\n\t"
#elif defined(VMI_POINTER)
/* Entry points have no ENDBR. */
#if defined(__CET__) && (__CET__ & 1)
#define VMI__UNTRACKED "notrack "
#else
#define VMI__UNTRACKED
#endif
#define VMI__CALL(ordinal, symbol, live, length)                                                   \
    VMI__COUNT(ordinal)                                                                            \
    VMI__UNTRACKED "call *vmi__pointers+8*" ordinal "(%%rip)\n\t"
#else
#define VMI__CALL(ordinal, symbol, live, length)                                                   \
    VMI__COUNT(ordinal)                                                                            \
    "771: call " VMI__NAME("%P[target]", symbol) "\n\t"                                            \
    ".if " length " > 5\n\t"                                                                       \
    ".nops " length " - 5\n\t"                                                                     \
    ".endif\n\t"                                                                                   \
    ".pushsection .vmi.sites, \"a?\"\n\t"                                                          \
    ".long 771b - .\n\t"                                                                           \
    ".short " ordinal "\n\t"                                                                       \
    ".short " live "\n\t"                                                                          \
    ".byte " length ", 0, 0, 0\n\t"                                                                \
    ".popsection\n\t"
#endif

/*
 * A wrapper is always inlined; where its address is taken, that is the library's symbol, which has
 * the register contract of the System V convention unless the wrapper's comment says otherwise.
 * bindgen would declare the symbols without that contract: the mark in the comments hides them from
 * it. Kernels in Rust have the crate vmi (docs/rust.md).
 */
#define VMI__WRAPPER                                                                               \
    extern __inline__ __attribute__((__gnu_inline__, __always_inline__))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- structures ---- */

struct vmi_state;

/**
 * What Fetch stores.
 *
 * @since 3.0
 * Source: SDK.
 */
struct vmi_state {
    uint8_t kind;                        /**< Kind. */
    uint64_t time;                       /**< When. */
    uint32_t values[3];                  /**< Values. */
    uint64_t rsp;                        /**< Stack pointer. */
};

VMI__ASSERT(state, sizeof(struct vmi_state) == VMI_SIZEOF_STATE);
VMI__OFFSET(state, kind, VMI_OFFSETOF_STATE_KIND);
VMI__OFFSET(state, time, VMI_OFFSETOF_STATE_TIME);
VMI__OFFSET(state, values, VMI_OFFSETOF_STATE_VALUES);
VMI__OFFSET(state, rsp, VMI_OFFSETOF_STATE_RSP);

/* ---- tables of the library ---- */

/** How the library does a call. */
struct vmi_call_info {
    const char *name; /**< Published name. */
    uint16_t ordinal; /**< VMI_ORDINAL_… */
    uint16_t kind;    /**< VMI_KIND_… */
    const char *how;  /**< Instructions, hypercalls, routine, or why it is unsupported. */
    const char *when; /**< When the hypercalls are made at all; null: at every call, or there are none. */
};

/** A hypercall of the library. */
struct vmi_hypercall_info {
    const char *name;      /**< The hypervisor's name for it. */
    uint32_t number;       /**< The hypervisor's number. */
    const uint32_t *count; /**< How often it was made. */
};

/** Every call, by rising ordinal. */
extern const struct vmi_call_info vmi_calls[];
/** Entries of vmi_calls. */
extern const uint32_t vmi_calls_count;
/** Every hypercall that the library can make. */
extern const struct vmi_hypercall_info vmi_hypercalls[];
/** Entries of vmi_hypercalls. */
extern const uint32_t vmi_hypercalls_count;
/** Calls made so far, by ordinal, by code that was compiled with VMI_COUNT_CALLS. */
extern uint32_t vmi_call_count[VMI_ORDINALS];

/* ---- processor ---- */

/**
 * Probe (0): Ask for two words.
 *
 * Replaces: cpuid.
 *
 * @param leaf Which. (rax)
 * @param[out] low First word. (rax)
 * @param[out] high Second word. (rbx)
 *
 * Keeps rdx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags; destroys rcx.
 * The symbol keeps the registers of the instruction, not those of a C function: no call through a
 * pointer.
 * @since 3.0
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER void vmi_probe(uint32_t leaf, uint32_t *low, uint32_t *high)
{
    uint64_t reg_rax = (uint64_t)leaf;
    uint64_t reg_rbx;

    VMI__ASM(VMI__CALL("0", "vmi_probe", "65524", "5")
             : "+a"(reg_rax), "=b"(reg_rbx)
             : VMI__SYMBOLS(0, vmi_probe)
             : "rcx");
    *low = (uint32_t)reg_rax;
    *high = (uint32_t)reg_rbx;
}

/**
 * Load (1): Load a value.
 *
 * Replaces: a move.
 *
 * @param value The value. (bytes; rdi)
 *
 * Keeps rbx, rsp, rbp, r12, r13, r14, r15; destroys rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11,
 * flags.
 * @pre Interrupts are off.
 * @since 3.0
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER void vmi_load(uint32_t value)
{
    uint64_t reg_rdi = (uint64_t)value;

    VMI__ASM(VMI__CALL("1", "vmi_load", "61480", "5")
             : "+D"(reg_rdi)
             : VMI__SYMBOLS(1, vmi_load)
             : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
}

/**
 * Return (4): Return from an interrupt.
 *
 * Replaces: iret.
 *
 * Does not return.
 *
 * Keeps rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags;
 * destroys nothing.
 * @since 3.0
 * Source: SDK.
 */
extern const unsigned char vmi_return[]; /* a jump target in assembly, no function */

/**
 * Stop (129): Stop.
 *
 * Replaces: hlt.
 *
 * Does not return.
 *
 * Keeps rbx, rsp, rbp, r12, r13, r14, r15; destroys rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11,
 * flags.
 * @since 3.1
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER __attribute__((__noreturn__)) void vmi_stop(void)
{
    VMI__ASM(VMI__CALL("129", "vmi_stop", "61480", "5")
             :
             : VMI__SYMBOLS(129, vmi_stop)
             : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    __builtin_unreachable();
}

/**
 * Base (130): Write the base and read the old one.
 *
 * Replaces: wrmsr.
 *
 * @param number Which. (rcx)
 * @param value The base. (rdx:rax)
 * @param deep A word. (r8)
 * @return The old one. (rdx:rax)
 *
 * Keeps rcx, rbx, rsp, rbp, rsi, rdi, r8, r9, r11, r12, r13, r14, r15, flags; destroys r10.
 * The symbol keeps the registers of the instruction, not those of a C function: no call through a
 * pointer.
 * @since 3.1
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER uint64_t vmi_base(uint32_t number, uint64_t value, uint64_t deep)
{
    uint64_t reg_rcx = (uint64_t)number;
    uint64_t reg_rax = (uint32_t)value;
    uint64_t reg_rdx = value >> 32;
    register uint64_t reg_r8 __asm__("r8") = deep;

    VMI__ASM(VMI__CALL("130", "vmi_base", "64506", "5")
             : "+a"(reg_rax), "+d"(reg_rdx)
             : "c"(reg_rcx), "r"(reg_r8), VMI__SYMBOLS(130, vmi_base)
             : "r10", "memory");
    return (reg_rdx << 32) | (uint32_t)reg_rax;
}

/* ---- memory ---- */

/**
 * Store (2): Store a double word.
 *
 * It is stored at once or later.
 *
 * A second paragraph.
 *
 * Replaces: two moves.
 *
 * @param low Low word. (rdi)
 * @param high High word. (rsi)
 * @param name Its name. (rdx)
 * @param mode VMI_MODE_… (rcx)
 * @return 0 or an error. (rax)
 * @retval VMI_EINVAL The name is empty.
 *
 * Keeps rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15; destroys rcx, rdx, flags.
 * @since 3.0
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER int32_t vmi_store(uint32_t low, uint32_t high, const char *name, uint32_t mode)
{
    uint64_t reg_rdi = (uint64_t)low;
    uint64_t reg_rsi = (uint64_t)high;
    uint64_t reg_rdx = (uint64_t)name;
    uint64_t reg_rcx = (uint64_t)mode;
    uint64_t reg_rax;

    VMI__ASM(VMI__CALL("2", "vmi_store", "65512", "5")
             : "+d"(reg_rdx), "+c"(reg_rcx), "=a"(reg_rax)
             : "D"(reg_rdi), "S"(reg_rsi), VMI__SYMBOLS(2, vmi_store)
             : "memory", "cc");
    return (int32_t)reg_rax;
}

/**
 * Clock (3): Read the clock.
 *
 * Replaces: rdtsc.
 *
 * @return The time. (ns; rdx:rax)
 *
 * Keeps rcx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags; destroys
 * nothing.
 * The symbol keeps the registers of the instruction, not those of a C function: no call through a
 * pointer.
 * @since 3.0
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER uint64_t vmi_clock(void)
{
    uint64_t reg_rax;
    uint64_t reg_rdx;

    VMI__ASM(VMI__CALL("3", "vmi_clock", "65530", "5")
             : "=a"(reg_rax), "=d"(reg_rdx)
             : VMI__SYMBOLS(3, vmi_clock)
             :);
    return (reg_rdx << 32) | (uint32_t)reg_rax;
}

/**
 * Fetch (128): Fetch the state.
 *
 * Replaces: nothing.
 *
 * @param to Where to. (rdi)
 * @param limit How much. (bytes; rsi)
 * @return 1 if there was one. (rax)
 *
 * Keeps rbx, rsp, rbp, r12, r13, r14, r15; destroys rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags. An
 * NMI handler may call it.
 * @since 3.1
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER uint8_t vmi_fetch(struct vmi_state *to, uint64_t limit)
{
    uint64_t reg_rdi = (uint64_t)to;
    uint64_t reg_rsi = limit;
    uint64_t reg_rax;

    VMI__ASM(VMI__CALL("128", "vmi_fetch", "61480", "5")
             : "+D"(reg_rdi), "+S"(reg_rsi), "=a"(reg_rax)
             : VMI__SYMBOLS(128, vmi_fetch)
             : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return (uint8_t)reg_rax;
}

/**
 * Gate (131): Write a gate.
 *
 * Replaces: a store.
 *
 * @param table The table. (rdi)
 * @param whole The gate. (rsi)
 *
 * Keeps rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15; destroys rax,
 * flags.
 * @pre Interrupts are off.
 * @pre The name stays where it is until the store is done.
 * @since 3.1
 * Source: SDK.
 * <div rustbindgen hide></div>
 */
VMI__WRAPPER void vmi_gate(uint64_t table, uint64_t whole)
{
    uint64_t reg_rdi = table;
    uint64_t reg_rsi = whole;

    VMI__ASM(VMI__CALL("131", "vmi_gate", "65518", "5")
             :
             : "D"(reg_rdi), "S"(reg_rsi), VMI__SYMBOLS(131, vmi_gate)
             : "rax", "memory", "cc");
}

#ifdef __cplusplus
}
#endif

#endif
