/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Binds the call sites of a linked kernel on the build machine, by the code that binds them when a
 * kernel starts (runtime/bind/): vmi-bind reads and writes the kernel's file, and this decides.
 *
 * Standard input: six words of 64 bits, the sizes and addresses of struct request; then the
 * image, the code, the records of sites, and for each ordinal two words, the address of its entry
 * point in the kernel (0: it has none) and whether the call is a jump. All is little-endian, as the
 * machines are. Standard output: the code, then for each site a byte, its `enum outcome`.
 *
 * Exit status 0; or 1, with a line on standard error, the number of the site (-1: no one site) and
 * the reason to refuse; or 3 if every site is as it was to become, so that the kernel is bound.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/machine.h"
#include "bind/opcodes.h"
#include "bind/sites.h"

#define MOST       (1u << 30) /* bytes of a part of the request */
#define SLOT_ALIGN 16

#define STATUS_REFUSED 1
#define STATUS_BOUND   3

enum outcome {
    INSTRUCTION = 'i',
    PREFIXES = 'p', /* nothing: prefixes of the instruction behind it */
    NOP = 'n',      /* nothing: one NOP */
    LIBRARY = 'c',  /* a call, which the library does by code of its own */
    FEATURE = 'f',  /* a call, whose form is chosen by a feature of the processor */
    LONG = 'l',     /* a call, whose instructions are longer than the site */
};

struct request {
    uint64_t rom_size, code_size, code_address, sites_count, sites_address, entries_count;
};

struct entry {
    uint64_t address, is_jump;
};

static struct request request;
static uint8_t *rom_bytes, *code_bytes;
static struct vmi__site *records;
static struct entry *entries;
static struct vmi__rom rom;

static void __attribute__((noreturn)) refuse(long site, const char *reason)
{
    fprintf(stderr, "%ld %s\n", site, reason);
    exit(STATUS_REFUSED);
}

static void *take(uint64_t size)
{
    void *bytes;

    if (size > MOST)
        refuse(-1, "it is larger than anything that can be bound");
    bytes = malloc(size ? size : 1);
    if (!bytes || fread(bytes, 1, size, stdin) != size)
        refuse(-1, "the request is cut short");
    return bytes;
}

static void put32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

/* The distance that a branch at the address `from` has to `to`. */
static uint32_t distance(uint64_t from, uint64_t to)
{
    return (uint32_t)(to - (from + VMI__SITE_LEAST));
}

static uint64_t site_offset(uint64_t index)
{
    return vmi__site_address(&records[index], request.sites_address + index * sizeof(*records)) -
           request.code_address;
}

static const struct entry *entry_of(uint64_t index)
{
    uint32_t ordinal = records[index].ordinal;

    return ordinal < request.entries_count && entries[ordinal].address ? &entries[ordinal] : 0;
}

/* Is the call chosen by a feature of the processor, in the library's start? */
static bool by_feature(uint32_t ordinal)
{
    for (uint32_t i = 0; i < rom.forms_count; i++) {
        const uint8_t *form = rom.bytes + rom.forms_offset + i * VMI__ROM_FORM_SIZE;

        if ((form[VMI__ROM_FORM_ORDINAL] | form[VMI__ROM_FORM_ORDINAL + 1] << 8) == (int)ordinal)
            return true;
    }
    return false;
}

/*
 * Is what the image has for a site just what the library's entry point in this kernel does: those
 * instructions, and to come back? ENDBR may stand in front.
 */
static bool is_proven(uint64_t index, const struct vmi__rom_call *call)
{
    static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e};
    const struct entry *entry = entry_of(index);
    uint64_t offset = entry->address - request.code_address;
    uint32_t length = call->inline_length;
    const uint8_t *code;

    if (offset >= request.code_size || request.code_size - offset < 4u + length + 1)
        return false;
    code = code_bytes + offset;
    if (!memcmp(code, endbr, sizeof(endbr)) && (code[3] & 0xfe) == 0xfa)
        code += 4;
    if (memcmp(code, rom.bytes + call->inline_offset, length))
        return false;
    return entry->is_jump || code[length] == RET;
}

/* Checks what can be checked of one site by itself, but for the bytes that it holds. */
static void check(uint64_t index)
{
    struct vmi__rom_call call;
    uint64_t offset = site_offset(index);
    const struct entry *entry = entry_of(index);

    if (offset >= request.code_size || request.code_size - offset < VMI__SITE_LEAST)
        refuse((long)index, "the site is outside the kernel's code");
    if (!entry)
        refuse((long)index, "the kernel has no entry point of the call");
    if (!vmi__rom_find(&rom, records[index].ordinal, &call))
        refuse((long)index, "the library's image does not have the call");
    if ((call.kind == VMI__ROM_NONE || call.kind == VMI__ROM_NOP) &&
        !by_feature(records[index].ordinal) && !is_proven(index, &call))
        refuse((long)index, "the call's entry point in the kernel is not what the library's image "
                            "has in its place");
}

/* The opcode of a site that is still a branch to its entry point, or 0. */
static uint8_t branch_of(uint64_t index)
{
    const uint8_t *site = code_bytes + site_offset(index);
    const struct entry *entry = entry_of(index);
    uint8_t expected[4];

    put32(expected, distance(request.code_address + site_offset(index), entry->address));
    return site[0] == (entry->is_jump ? JUMP : CALL) && !memcmp(site + 1, expected, 4) ? site[0]
                                                                                       : 0;
}

/*
 * The image's table of calls, changed so that a call which stays one goes where it went: the entry
 * points are the kernel's, counted from its code on, and what is chosen by a feature is a call.
 */
static void retarget(void)
{
    uint8_t *call = rom_bytes + rom.calls_offset;

    for (uint32_t i = 0; i < rom.calls_count; i++, call += VMI__ROM_CALL_SIZE) {
        uint32_t ordinal = vmi__rom_call(&rom, i).ordinal;

        if (ordinal < request.entries_count)
            put32(call + VMI__ROM_CALL_TARGET,
                  (uint32_t)(entries[ordinal].address - request.code_address));
        if (by_feature(ordinal)) {
            call[VMI__ROM_CALL_KIND] = VMI__ROM_CALL;
            call[VMI__ROM_CALL_INLINE_LENGTH] = 0;
        }
    }
}

static enum outcome outcome_of(uint64_t index)
{
    const uint8_t *site = code_bytes + site_offset(index);
    struct vmi__rom_call call;

    vmi__rom_find(&rom, records[index].ordinal, &call);
    if (branch_of(index))
        return by_feature(records[index].ordinal) ? FEATURE
               : call.kind == VMI__ROM_NONE       ? LONG
                                                  : LIBRARY;
    if (call.kind == VMI__ROM_NONE)
        return INSTRUCTION;
    return site[0] == PREFIX_CS || site[0] == PREFIX_SS ? PREFIXES : NOP;
}

int main(void)
{
    struct vmi__site_counts counts = {0};
    const char *reason;
    uint8_t *before;
    uint64_t slots;
    long changed = -1;

    if (fread(&request, sizeof(request), 1, stdin) != 1)
        refuse(-1, "the request is cut short");
    rom_bytes = take(request.rom_size);
    code_bytes = take(request.code_size);
    if (request.sites_count > MOST / sizeof(*records) ||
        request.entries_count > MOST / sizeof(*entries))
        refuse(-1, "it is larger than anything that can be bound");
    records = take(request.sites_count * sizeof(*records));
    entries = take(request.entries_count * sizeof(*entries));
    reason = vmi__rom_read(rom_bytes, (uint32_t)request.rom_size, &rom);
    if (!reason)
        reason = vmi__rom_word_sum(&rom);
    if (reason)
        refuse(-1, reason);
    before = malloc(request.code_size ? request.code_size : 1);
    if (!before)
        refuse(-1, "there is no memory");
    memcpy(before, code_bytes, request.code_size);

    for (uint64_t i = 0; i < request.sites_count; i++) {
        check(i);
        if (!branch_of(i) && changed < 0)
            changed = (long)i;
    }
    retarget();
    /* As in a kernel without a library: every site is a call of a slot, which lies behind all code.
     */
    slots =
        (request.code_address + request.code_size + SLOT_ALIGN - 1) & ~(uint64_t)(SLOT_ALIGN - 1);
    for (uint64_t i = 0; i < request.sites_count; i++) {
        uint8_t *site = code_bytes + site_offset(i);

        site[0] = entry_of(i)->is_jump ? JUMP : CALL;
        put32(site + 1, distance(request.code_address + site_offset(i),
                                 slots + (uint64_t)records[i].ordinal * VMI__SLOT_SIZE));
    }
    {
        const struct vmi__code code = {code_bytes, (uint32_t)request.code_size,
                                       request.code_address};
        const struct vmi__sites sites = {records, (uint32_t)request.sites_count,
                                         request.sites_address};

        reason = vmi__sites_bind(&code, &sites, slots, &rom, request.code_address, &counts);
    }
    if (reason)
        refuse(-1, reason);
    if (changed >= 0) {
        if (memcmp(before, code_bytes, request.code_size))
            refuse(changed, "the site is no call of its entry point");
        return STATUS_BOUND;
    }
    if (fwrite(code_bytes, 1, request.code_size, stdout) != request.code_size)
        refuse(-1, "the reply cannot be written");
    for (uint64_t i = 0; i < request.sites_count; i++)
        putchar(outcome_of(i));
    return fflush(stdout) ? STATUS_REFUSED : 0;
}
