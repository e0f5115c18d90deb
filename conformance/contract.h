/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The register contract of each call, and what the backend declares about it. The table and the
 * probes are generated from the specification (generate.py), and so is where arguments and results
 * are (places.h); what a call is given, and what must be true afterwards, is written by hand
 * (cases.c, arch/ARCH/cases.c): functions arguments_SYMBOL() and after_SYMBOL().
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#include <stdbool.h>
#include <stdint.h>

#include "ktap.h"
#include "places.h"

struct contract {
    const char *name;
    uint32_t ordinal;
    /* Makes the call; null if it does not come back and no probe is written for it by hand. */
    void (*probe)(void);
    /*
     * Fills in the arguments of a call that does no harm, and sees to it that a call that is a
     * hypercall under some circumstances finds those. Null if nobody has thought of the call yet.
     */
    void (*arguments)(struct contract_registers *in);
    /*
     * Looks at the results by contract_expect(), at what the call was to do by contract_effect(),
     * and undoes the call. May be null.
     */
    void (*after)(const struct contract_registers *out);
    uint64_t unsupported; /* result where a backend declares the call unsupported */
    uint32_t stack;       /* bytes that it may take, the return address included */
    uint32_t result_bits; /* 0: none */
    uint8_t result[2];    /* its registers, low word first; the same twice for one register */
};

extern const struct contract contracts[];
extern const uint32_t contracts_count;

extern const struct check checks_layout[], checks_contract[], checks_matrix[], checks_behaviour[];

/* Between the assembly of a probe and contract.c. */
extern struct contract_registers contract_in, contract_out;
extern uint32_t contract_changed, contract_stack;
extern uintptr_t contract_sp;

/*
 * What cases are made of: functions arguments_SYMBOL() and after_SYMBOL(), and both at once for a
 * call without arguments of which nothing more is to be said.
 */
#define CASE(symbol)                                                                               \
    void arguments_##symbol(struct contract_registers *in);                                        \
    void arguments_##symbol(struct contract_registers *in)
#define AFTER(symbol)                                                                              \
    void after_##symbol(const struct contract_registers *out);                                     \
    void after_##symbol(const struct contract_registers *out)
#define PLAIN(symbol)                                                                              \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        give_##symbol(in);                                                                         \
    }

/* In arguments_…(): the call may raise an exception on a processor that lacks what it asks for. */
void contract_may_fault(void);
/* In arguments_…(): the call needs what is not there. */
void contract_skip(const char *reason);
/* In after_…(): fails the check if two values differ. */
void contract_expect(const char *what, uint64_t found, uint64_t wanted);
/*
 * The same for values that would differ had the call done nothing: where it is declared
 * unsupported, it fails if they are equal.
 */
void contract_effect(const char *what, uint64_t found, uint64_t wanted);

/* Hypercalls of all kinds that the library has made. */
uint32_t contract_hypercalls(void);
/* Hypercalls that a call made elsewhere, where its probe cannot have it make them. */
void contract_made(uint32_t ordinal, uint32_t hypercalls);

/* VMI_KIND_… that the backend declares. */
uint32_t contract_declared(uint32_t ordinal);

/* Prints which call took the most stack, and how much: a line `# stack call=NAME bytes=N`. */
void contract_print_stack(void);

/* What the generated checks are made of. */
void contract_check(const struct contract *contract);
void matrix_check(const struct contract *contract);

#endif
