/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "bind/sites.h"

#include "bind/opcodes.h"
#include "bind/words.h"

#define INSTRUCTION_MOST 15 /* bytes (Intel SDM vol. 2A, 2.3.11) */

/* Recommended forms of one NOP (Intel SDM vol. 2B, NOP, table 4-12), for 1 to 9 bytes. */
static const uint8_t nops[9][9] = {
    {0x90},
    {0x66, 0x90},
    {0x0f, 0x1f, 0x00},
    {0x0f, 0x1f, 0x40, 0x00},
    {0x0f, 0x1f, 0x44, 0x00, 0x00},
    {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
    {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
    {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
};

static void put_nops(uint8_t *bytes, uint32_t length)
{
    while (length) {
        uint32_t size = length < sizeof(nops[0]) ? length : (uint32_t)sizeof(nops[0]);

        for (uint32_t i = 0; i < size; i++)
            bytes[i] = nops[size - 1][i];
        bytes += size;
        length -= size;
    }
}

/* All code of a kernel lies within reach (2 GiB). */
static void put_branch(uint8_t *bytes, uint8_t opcode, uintptr_t from, uintptr_t to)
{
    uint32_t distance = (uint32_t)(to - (from + VMI__SITE_LEAST));

    bytes[0] = opcode;
    __builtin_memcpy(bytes + 1, &distance, sizeof(distance));
}

static bool is_branch(const uint8_t *bytes, uintptr_t from, uintptr_t to)
{
    uint32_t distance;

    __builtin_memcpy(&distance, bytes + 1, sizeof(distance));
    return (bytes[0] == CALL || bytes[0] == JUMP) &&
           distance == (uint32_t)(to - (from + VMI__SITE_LEAST));
}

/*
 * May instructions be made longer by prefixes in front? A DS override says what is so anyhow, or
 * does nothing where there is no memory operand (Intel SDM vol. 2A, 2.1.1) and in 64-bit mode (vol.
 * 1, 3.3.7.1), but there can be only one segment override, and branches take it for a hint. It
 * stands in front of REX.
 */
static bool takes_prefixes(uint8_t first)
{
    switch (first) {
    case 0x26: /* segment overrides */
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0xc2: /* ret, int, iret, call, jmp */
    case 0xc3:
    case 0xcc:
    case 0xcd:
    case 0xcf:
    case 0xe8:
    case 0xe9:
    case 0xeb:
    case 0xff:
        return false;
    default:
        return first < 0x70 || first > 0x7f; /* jcc */
    }
}

/*
 * The instructions, filling the site: longer by prefixes up to the length of a call, so that the
 * processor has nothing more to carry out than in code without sites; what is left beyond is nops.
 */
static void put_instructions(uint8_t *site, uint32_t length, const uint8_t *code, uint32_t size)
{
    uint32_t prefixes = 0;

    if (size < VMI__SITE_LEAST && takes_prefixes(code[0]))
        prefixes = VMI__SITE_LEAST - size;
    for (uint32_t i = 0; i < prefixes; i++)
        site[i] = PREFIX_DS;
    for (uint32_t i = 0; i < size; i++)
        site[prefixes + i] = code[i];
    put_nops(site + prefixes + size, length - prefixes - size);
}

/* Bytes of the operand in memory of a ModRM byte and what belongs to it; none of its displacement
 * is missing. 1 for a register. Source: Intel SDM vol. 2A, tables 2-2 and 2-3. */
static uint32_t operand_length(const uint8_t *modrm)
{
    static const uint8_t displacements[] = {0, 1, 4, 0};
    bool sib = *modrm >> 6 != 3 && (*modrm & 7) == 4;
    bool only = *modrm >> 6 == 0 && ((sib ? modrm[1] : *modrm) & 7) == 5;

    return 1 + sib + (only ? 4 : displacements[*modrm >> 6]);
}

/* As plain_length, of an instruction without its REX prefix; `wide` if that says 64 bits. */
static uint32_t plain_without(const uint8_t *bytes, uint32_t size, bool wide)
{
    uint8_t first = bytes[0], modrm;

    if ((!VMI__LONG_MODE && (first & 0xf0) == 0x40) || (first & 0xf0) == 0x50 ||
        (first >= 0x90 && first <= 0x99) || first == 0xc3 || first == 0xc9 || first == 0xf4 ||
        (first >= 0xfa && first <= 0xfd))
        return 1; /* inc, dec, push, pop, xchg, cwde, cdq, ret, leave, hlt, cli, sti, cld, std */
    if (first == 0x6a || first == 0xa8 || first == 0xeb || (first >= 0xb0 && first <= 0xb7) ||
        (first < 0x40 && (first & 7) == 4))
        return 2; /* push, test, jmp, mov, arithmetic; with 8 bits */
    if (first >= 0xb8 && first <= 0xbf)
        return wide ? 9 : 5; /* mov */
    if (first == 0x68 || first == 0xa9 || first == CALL || first == JUMP ||
        (first < 0x40 && (first & 7) == 5))
        return 5; /* the same, and call, with 32 */
    if (size < 3)
        return 0;
    if (first == 0x8d) /* lea, which makes addresses only */
        return bytes[1] >> 6 == 3 ? 0 : 1 + operand_length(bytes + 1);
    modrm = first == 0x0f ? bytes[2] : bytes[1];
    if (modrm >> 6 != 3)
        return 0;
    if (first == 0x0f) /* cmov, set, imul, movzx, movsx */
        return (bytes[1] & 0xf0) == 0x40 || (bytes[1] & 0xf0) == 0x90 || bytes[1] == 0xaf ||
                       (bytes[1] & 0xf6) == 0xb6
                   ? 3
                   : 0;
    if ((first < 0x40 && (first & 7) < 4) || (first >= 0x84 && first <= 0x8b) ||
        (first >= 0xd0 && first <= 0xd3) || first == 0xfe || first == 0xff ||
        (VMI__LONG_MODE && first == 0x63))
        return 2; /* arithmetic, test, xchg, mov, shifts, inc, dec, call, jmp, push, movsxd */
    if (first == 0x6b || first == 0x80 || first == 0x83 || first == 0xc0 || first == 0xc1)
        return 3; /* imul, arithmetic, shifts; with 8 bits */
    if (first == 0x69 || first == 0x81 || (first == 0xc7 && !(modrm & 0x38)))
        return 6;                       /* imul, arithmetic, mov; with 32 */
    if (first == 0xf6 || first == 0xf7) /* test has an operand more than not, neg, mul, div */
        return modrm & 0x30 ? 2 : first == 0xf6 ? 3 : 6;
    return 0;
}

/* Is there a REX prefix (Intel SDM vol. 2A, 2.2.1), with something behind it? */
static bool has_rex(const uint8_t *bytes, uint32_t size)
{
    return VMI__LONG_MODE && size > 1 && (bytes[0] & 0xf0) == 0x40;
}

/*
 * Length of an instruction that a CS override does nothing to: it uses no memory but the stack, and
 * is no conditional branch, which might take it for a hint. 0 for all others. Of `size` bytes, at
 * least one, that can be read. Source: Intel SDM vol. 2A, 2.1, and vol. 2D, A.3.
 */
static uint32_t plain_length(const uint8_t *bytes, uint32_t size)
{
    uint32_t length;

    if (!has_rex(bytes, size))
        return plain_without(bytes, size, false);
    length = plain_without(bytes + 1, size - 1, bytes[0] & 8);
    return length ? 1 + length : 0;
}

/*
 * The same for an SS override: an instruction of the present function's own frame, which is
 * addressed by esp or rsp. Source: Intel SDM vol. 2A, table 2-2 and 2-3.
 */
static uint32_t frame_length(const uint8_t *bytes, uint32_t size)
{
    uint32_t prefix = has_rex(bytes, size), length;
    uint8_t first = bytes[prefix];

    if (prefix && bytes[0] & 1) /* r12 in place of rsp */
        return 0;
    bytes += prefix;
    if (size < 3 + prefix || (bytes[1] & 0xc7) == 0xc4 || (bytes[1] & 7) != 4 ||
        (bytes[2] & 7) != 4)
        return 0;
    length = prefix + 1 + operand_length(bytes + 1);
    if ((first < 0x40 && (first & 7) < 4) || (first >= 0x84 && first <= 0x8b) || first == 0xff)
        return length; /* arithmetic, test, xchg, mov, inc, dec, call, jmp, push */
    if (first == 0x80 || first == 0x83 || first == 0xc6)
        return length + 1; /* arithmetic, mov; with 8 bits */
    if (first == 0x81 || first == 0xc7)
        return length + 4; /* with 32 */
    return 0;
}

/*
 * A call that is nothing becomes prefixes of the instruction behind it, so that the processor has
 * nothing to carry out; a jump to that instruction goes behind them and finds it as it was. Where
 * prefixes might mean something, and where the address of the instruction might be looked up when
 * it faults, the call becomes a nop. What follows is what it will be: it was bound before.
 */
static void put_nothing(uint8_t *site, uint32_t length, uint32_t size)
{
    uint8_t prefix = 0;
    uint32_t prefixes = 0, next, rest;

    if (length < size && (site[length] == PREFIX_CS || site[length] == PREFIX_SS))
        prefix = site[length];
    while (prefix && length + prefixes < size && site[length + prefixes] == prefix)
        prefixes++;
    next = length + prefixes;
    rest = size - next;
    if (prefix != PREFIX_SS && rest && plain_length(site + next, rest)) {
        prefix = PREFIX_CS;
        next += plain_length(site + next, rest);
    } else if (prefix != PREFIX_CS && rest && frame_length(site + next, rest)) {
        prefix = PREFIX_SS;
        next += frame_length(site + next, rest);
    } else {
        prefix = 0;
    }
    if (prefix && next <= INSTRUCTION_MOST)
        vmi__fill(site, prefix, length);
    else
        put_nops(site, length);
}

static uintptr_t slot_of(uintptr_t slots, const struct vmi__site *site)
{
    return slots + site->ordinal * VMI__SLOT_SIZE;
}

/* Where the site of the record at an address begins in the code; more than the code has if it is
 * elsewhere. */
static inline uint32_t offset_of(const struct vmi__code *code, const struct vmi__site *site,
                                 uintptr_t record)
{
    uintptr_t offset = vmi__site_address(site, record) - code->address;

    return offset > UINT32_MAX ? UINT32_MAX : (uint32_t)offset;
}

/* The address of a record. */
static uintptr_t record_of(const struct vmi__sites *sites, const struct vmi__site *site)
{
    return sites->address + (uintptr_t)(site - sites->records) * sizeof(*site);
}

/*
 * Does another site begin in what a site has beyond its call, which is to be overwritten? There it
 * would have its branch, which is looked for first.
 */
static bool is_shared(const struct vmi__code *code, const struct vmi__sites *sites,
                      const struct vmi__site *site, uint32_t offset)
{
    uint32_t rest = site->length - VMI__SITE_LEAST, start = offset + VMI__SITE_LEAST, branches = 0;

    for (uint32_t i = 0; i < rest; i++)
        branches += code->bytes[start + i] == CALL || code->bytes[start + i] == JUMP;
    if (!branches)
        return false;
    for (uint32_t i = 0; i < sites->count; i++) {
        const struct vmi__site *other = &sites->records[i];

        if (offset_of(code, other, record_of(sites, other)) - start < rest)
            return true;
    }
    return false;
}

/* Is there a whole site? */
static const char *check_place(const struct vmi__code *code, const struct vmi__site *site,
                               uint32_t offset)
{
    if (site->length < VMI__SITE_LEAST || site->length > VMI__SITE_MOST)
        return "a call site has an impossible length";
    if (offset > code->size || site->length > code->size - offset)
        return "a call site is outside the kernel's text";
    return 0;
}

static const char *check_site(const struct vmi__code *code, const struct vmi__site *site,
                              uint32_t offset, uintptr_t slots, const struct vmi__rom *rom)
{
    const char *reason = check_place(code, site, offset);

    if (reason)
        return reason;
    if (!is_branch(code->bytes + offset, code->address + offset, slot_of(slots, site)))
        return "a call site was bound before, or is no call of its slot";
    if (!vmi__rom_has(rom, site->ordinal))
        return "a call site is for a call that the provider does not have";
    return 0;
}

/*
 * Writes what a call becomes that does something, to `bytes`, which are or will be the site at an
 * address: instructions, or the branch `opcode`. True for instructions.
 */
static bool put_call(uint8_t *bytes, uint8_t opcode, uintptr_t address, uint32_t length,
                     const struct vmi__rom *rom, const struct vmi__rom_call *call, uintptr_t text)
{
    if (call->kind == VMI__ROM_NONE && call->inline_length <= length) {
        put_instructions(bytes, length, rom->bytes + call->inline_offset, call->inline_length);
        return true;
    }
    put_branch(bytes, opcode, address, text + call->target);
    put_nops(bytes + VMI__SITE_LEAST, length - VMI__SITE_LEAST);
    return false;
}

/* A jump does not come back, so that it cannot be left out. */
static void bind_site(const struct vmi__code *code, uint32_t offset, const struct vmi__site *site,
                      const struct vmi__rom *rom, uintptr_t text, struct vmi__site_counts *counts)
{
    uint8_t *bytes = code->bytes + offset;
    struct vmi__rom_call call;

    vmi__rom_find(rom, site->ordinal, &call);
    if (call.kind == VMI__ROM_NOP && bytes[0] == CALL) {
        put_nothing(bytes, site->length, code->size - offset);
        counts->nop++;
    } else if (put_call(bytes, bytes[0], code->address + offset, site->length, rom, &call, text)) {
        counts->instruction++;
    } else {
        counts->call++;
    }
}

/*
 * Passes over sites that are what nearly all are, which is sound: a branch and no more, behind the
 * site before (`*least`, which becomes the end of the last), of a call that the interface and the
 * provider have. `site` is the first, which is described at `record`; returns the first that is
 * not.
 */
static const struct vmi__site *pass_plain(const struct vmi__code *code,
                                          const struct vmi__site *site, const struct vmi__site *end,
                                          uintptr_t record, uint32_t *least, uintptr_t slots,
                                          const struct vmi__rom *rom)
{
    uint32_t next = *least, starts = 0, slot = (uint32_t)(slots - code->address);

    if (code->size >= VMI__SITE_LEAST)
        starts = code->size - VMI__SITE_LEAST + 1;
    for (; site < end; site++, record += sizeof(*site)) {
        uint32_t offset = offset_of(code, site, record), ordinal = site->ordinal;

        if (site->length != VMI__SITE_LEAST || offset < next || offset >= starts ||
            ordinal >= VMI_ORDINALS ||
            !is_branch(code->bytes + offset, offset, slot + ordinal * VMI__SLOT_SIZE) ||
            !rom->call_at[ordinal])
            break;
        next = offset + VMI__SITE_LEAST;
    }
    *least = next;
    return site;
}

/* What sites of the least length become, by ordinal. */
struct plain {
    enum { UNKNOWN, INSTRUCTIONS, BRANCH, OTHER } what;
    uint32_t farther; /* how far beyond the slot the target is */
    uint8_t code[VMI__SITE_LEAST];
};

static void find_plain(const struct vmi__rom *rom, uint32_t ordinal, uintptr_t slots,
                       uintptr_t text, struct plain *plain)
{
    struct vmi__rom_call call;

    vmi__rom_find(rom, ordinal, &call);
    plain->what = OTHER;
    if (call.kind == VMI__ROM_NONE && call.inline_length <= VMI__SITE_LEAST) {
        plain->what = INSTRUCTIONS;
        put_instructions(plain->code, VMI__SITE_LEAST, rom->bytes + call.inline_offset,
                         call.inline_length);
    } else if (call.kind != VMI__ROM_NOP) {
        plain->what = BRANCH;
        plain->farther = (uint32_t)(text + call.target - (slots + ordinal * VMI__SLOT_SIZE));
    }
}

/* Makes a branch of a slot one of the slot's target. */
static void move_branch(uint8_t *bytes, uint32_t farther)
{
    uint32_t distance;

    __builtin_memcpy(&distance, bytes + 1, sizeof(distance));
    distance += farther;
    __builtin_memcpy(bytes + 1, &distance, sizeof(distance));
}

const char *vmi__sites_bind(const struct vmi__code *given, const struct vmi__sites *sites,
                            uintptr_t slots, const struct vmi__rom *rom, uintptr_t text,
                            struct vmi__site_counts *counts)
{
    /* Which no code that is written can be taken to change. */
    const struct vmi__code code = *given;
    const struct vmi__site *site = sites->records, *end = site + sites->count;
    struct plain plain[VMI_ORDINALS];
    uintptr_t record = record_of(sites, end);
    uint32_t instructions = 0, branches = 0;
    bool in_order = true;

    for (uint32_t least = 0;; site++) {
        const char *reason;
        uint32_t offset;

        site = pass_plain(&code, site, end, record_of(sites, site), &least, slots, rom);
        if (site == end)
            break;
        offset = offset_of(&code, site, record_of(sites, site));
        reason = check_site(&code, site, offset, slots, rom);
        if (!reason && site->length > VMI__SITE_LEAST && is_shared(&code, sites, site, offset))
            reason = "two call sites overlap";
        if (reason)
            return reason;
        in_order &= offset >= least;
        least = offset + site->length;
    }
    for (uint32_t i = 0; i < VMI_ORDINALS; i++)
        plain[i].what = UNKNOWN;
    /*
     * From the last to the first, as records have the order of the code that they lie in: what
     * follows a site is then as it will stay.
     */
    while (site > sites->records) {
        uint32_t offset, ordinal = (--site)->ordinal;
        struct plain *one;

        record -= sizeof(*site);
        offset = offset_of(&code, site, record);
        /* One that another site has changed shares bytes with it, or is the same. */
        if (!in_order &&
            !is_branch(code.bytes + offset, code.address + offset, slot_of(slots, site)))
            return "two call sites overlap";
        if (site->length != VMI__SITE_LEAST || ordinal >= VMI_ORDINALS) {
            bind_site(&code, offset, site, rom, text, counts);
            continue;
        }
        one = &plain[ordinal];
        if (one->what == UNKNOWN)
            find_plain(rom, ordinal, slots, text, one);
        if (one->what == INSTRUCTIONS) {
            __builtin_memcpy(code.bytes + offset, one->code, VMI__SITE_LEAST);
            instructions++;
        } else if (one->what == BRANCH) {
            move_branch(code.bytes + offset, one->farther);
            branches++;
        } else {
            bind_site(&code, offset, site, rom, text, counts);
        }
    }
    counts->instruction += instructions;
    counts->call += branches;
    return 0;
}

/* ---- once more ---- */

static bool are_equal(const uint8_t *one, const uint8_t *other, uint32_t length)
{
    while (length && *one == *other) {
        one++;
        other++;
        length--;
    }
    return !length;
}

/* Does a site hold what put_nothing has left there? */
static bool is_nothing(const uint8_t *site, uint32_t length)
{
    uint8_t expected[VMI__SITE_MOST];

    put_nops(expected, length);
    if (site[0] == PREFIX_CS || site[0] == PREFIX_SS)
        vmi__fill(expected, site[0], length);
    return are_equal(site, expected, length);
}

/* Does a site hold what a form of its call has become there? */
static bool is_bound(const struct vmi__code *code, uint32_t offset, const struct vmi__site *site,
                     const struct vmi__rom *rom, const struct vmi__rom_call *call, uintptr_t text)
{
    uint8_t expected[VMI__SITE_MOST];

    if (call->kind == VMI__ROM_NOP)
        return is_nothing(code->bytes + offset, site->length);
    put_call(expected, CALL, code->address + offset, site->length, rom, call, text);
    return are_equal(code->bytes + offset, expected, site->length);
}

const char *vmi__sites_bind_again(const struct vmi__code *given, const struct vmi__sites *sites,
                                  const struct vmi__rom *rom, const uint8_t before[VMI_ORDINALS],
                                  uintptr_t text, bool write)
{
    const struct vmi__code code = *given;

    for (uint32_t i = 0; i < sites->count; i++) {
        const struct vmi__site *site = &sites->records[i];
        uint32_t offset = offset_of(&code, site, record_of(sites, site));
        const char *reason = check_place(&code, site, offset);
        struct vmi__rom_call call;

        if (reason)
            return reason;
        if (site->ordinal >= VMI_ORDINALS || !rom->call_at[site->ordinal])
            return "a call site is for a call that the provider does not have";
        if (before[site->ordinal] == rom->form_at[site->ordinal])
            continue;
        call = vmi__rom_form(rom, site->ordinal, before[site->ordinal]);
        if (!is_bound(&code, offset, site, rom, &call, text))
            return "a call site does not hold what binding left there";
    }
    if (!write)
        return 0;
    /* From the last to the first, as before: what is nothing depends on what follows it. */
    for (uint32_t i = sites->count; i-- > 0;) {
        const struct vmi__site *site = &sites->records[i];
        uint32_t offset = offset_of(&code, site, record_of(sites, site));
        uint8_t *bytes = code.bytes + offset;
        struct vmi__rom_call call;

        vmi__rom_find(rom, site->ordinal, &call);
        if (call.kind == VMI__ROM_NOP) {
            /* A jump is not left out. */
            if (before[site->ordinal] != rom->form_at[site->ordinal] ||
                is_nothing(bytes, site->length))
                put_nothing(bytes, site->length, code.size - offset);
        } else if (before[site->ordinal] != rom->form_at[site->ordinal]) {
            put_call(bytes, CALL, code.address + offset, site->length, rom, &call, text);
        }
    }
    return 0;
}

/* Whether the interface has the call of a slot. */
static bool is_slot(const struct vmi__code *slots, uint32_t offset)
{
    return slots->bytes[offset] != INT3;
}

bool vmi__slots_have(const struct vmi__code *slots, uint32_t ordinal)
{
    return ordinal < slots->size / VMI__SLOT_SIZE && is_slot(slots, ordinal * VMI__SLOT_SIZE);
}

const char *vmi__slots_check(const struct vmi__code *slots, const struct vmi__rom *rom)
{
    for (uint32_t offset = 0; offset < slots->size; offset += VMI__SLOT_SIZE) {
        if (is_slot(slots, offset) && !vmi__rom_has(rom, offset / VMI__SLOT_SIZE))
            return "it lacks a call of the interface";
    }
    return 0;
}

void vmi__slots_bind(const struct vmi__code *slots, const struct vmi__rom *rom, uintptr_t text)
{
    for (uint32_t offset = 0; offset < slots->size; offset += VMI__SLOT_SIZE) {
        uint8_t *slot = slots->bytes + offset;
        struct vmi__rom_call call;

        if (!is_slot(slots, offset) || !vmi__rom_find(rom, offset / VMI__SLOT_SIZE, &call))
            continue;
        vmi__fill(slot, INT3, VMI__SLOT_SIZE);
        put_branch(slot, JUMP, slots->address + offset, text + call.target);
    }
}
