/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: a provider image is read, put into place and bound, as runtime/bind does it.
 *
 * An input is an image; what follows the length that it has by its header are records of call sites
 * in a kernel's text. Whatever is accepted is held to what the binder promises.
 */
#include <stdlib.h>

#include <sanitizer/asan_interface.h>
#include <vmi/constants.h>

#include "bind/sites.h"
#include "fuzz.h"
#include "layout.h"

/* Where things would lie in a kernel. */
#define BASE          ((uintptr_t)(VMI__LONG_MODE ? 0xffffffff80000000u : 0xc0000000u))
#define CODE_ADDRESS  (BASE + 0x100000)
#define SLOTS_ADDRESS (BASE + 0x110000)
#define SITES_ADDRESS (BASE + 0x170000)
#define TEXT_ADDRESS  (BASE + 0x180000)
#define DATA_ADDRESS  (BASE + 0x200000)

#define CODE_SIZE 512u
#define SITES_MAX 32u

/* The interface of this kernel. */
static const uint32_t interface[] = {0, 1, 2, 3, 17, 40, 128, 129};

/* ---- what was read ---- */

static bool within(uint64_t offset, uint64_t size, uint64_t start, uint64_t end)
{
    return offset >= start && offset + size <= end;
}

static void hold_description(const struct vmi__rom *rom, size_t size)
{
    struct vmi__rom_call call;
    uint32_t found = 0, newer = 0;

    HOLDS(rom->size <= size && rom->text_size >= VMI__ROM_X_END);
    HOLDS(rom->text_size <= rom->data_offset && rom->data_size <= rom->memory_size);
    HOLDS(within(rom->data_offset, rom->data_size, 0, rom->reloc_offset));
    HOLDS(
        within(rom->reloc_offset, (uint64_t)rom->reloc_count * VMI__ROM_RELOC_SIZE, 0, rom->size));
    HOLDS(within(rom->calls_offset, (uint64_t)rom->calls_count * VMI__ROM_CALL_SIZE, VMI__ROM_X_END,
                 rom->text_size));
    HOLDS(within(rom->probe, 1, VMI__ROM_X_END, rom->text_size));
    HOLDS(within(rom->start, 1, VMI__ROM_X_END, rom->text_size));
    HOLDS(rom->name[0] && strnlen(rom->name, sizeof(rom->name)) < sizeof(rom->name));
    for (const char *character = rom->name; *character; character++)
        HOLDS(*character > ' ' && *character <= '~');
    for (uint32_t i = 0; i < rom->calls_count; i++) {
        struct vmi__rom_call entry = vmi__rom_call(rom, i);

        HOLDS(vmi__rom_find(rom, entry.ordinal, &call) && call.target == entry.target);
        newer += entry.ordinal >= VMI_ORDINALS;
        HOLDS(within(call.target, 1, VMI__ROM_X_END, rom->text_size));
        HOLDS(call.kind <= VMI__ROM_NOP && call.inline_length <= VMI__ROM_INLINE_MAX);
        HOLDS(!call.inline_length ||
              within(call.inline_offset, call.inline_length, VMI__ROM_X_END, rom->text_size));
    }
    HOLDS(rom->forms_count <= VMI__ROM_FORMS_MAX);
    HOLDS(within(rom->forms_offset, (uint64_t)rom->forms_count * VMI__ROM_FORM_SIZE, VMI__ROM_X_END,
                 rom->text_size));
    HOLDS(!newer || rom->bytes[VMI__ROM_API_MINOR] > VMI_API_MINOR);
    for (uint32_t ordinal = 0; ordinal < VMI_ORDINALS; ordinal++)
        found += vmi__rom_find(rom, ordinal, &call);
    HOLDS(found + newer == rom->calls_count);
}

/* ---- what was put into place ---- */

struct memory {
    struct vmi__rom_place text, data;
};

static uint32_t least(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

/* As much as the image needs, but no more than a kernel has, so that each byte too far is seen. */
static struct vmi__rom_place reserve(uint32_t size, uint32_t most, uintptr_t address)
{
    struct vmi__rom_place place = {0, least(size, most), address, least(size, most)};

    place.memory = malloc(place.room + 1);
    HOLDS(place.memory);
    memset(place.memory, 0xa5, place.room + 1);
    ASAN_POISON_MEMORY_REGION(place.memory + place.room, 1);
    return place;
}

/* Relocates back, last first; then both parts are what the file has. */
static void hold_memory(const struct vmi__rom *rom, const struct memory *memory)
{
    const uintptr_t moved[] = {TEXT_ADDRESS, DATA_ADDRESS - rom->data_offset};
    uint32_t next = UINT32_MAX;

    for (uint32_t i = rom->reloc_count; i-- > 0;) {
        uint32_t entry = read_word(rom->bytes + rom->reloc_offset + i * VMI__ROM_RELOC_SIZE);
        uint32_t place = entry >> VMI__ROM_RELOC_SHIFT, form = entry >> 1 & 3, word;
        uint32_t size = entry & 1 ? rom->memory_size : rom->text_size;
        uint32_t bytes = form == VMI__ROM_RELOC_LONG ? 8 : 4;
        uint32_t start = entry & 1 ? rom->data_offset : 0;
        bool in_data = place >= rom->text_size;
        uint8_t *at = in_data ? memory->data.memory + (place - rom->data_offset)
                              : memory->text.memory + place;
        uintptr_t by = moved[entry & 1];

        HOLDS(form == VMI__ROM_RELOC_WORD || (VMI__LONG_MODE && form < 3));
        HOLDS(place + bytes <= next);
        next = place;
        if (form == VMI__ROM_RELOC_DISTANCE) {
            HOLDS(in_data != (entry & 1));
            by -= moved[in_data];
        }
        word = read_word(at) - (uint32_t)by;
        if (form == VMI__ROM_RELOC_DISTANCE)
            HOLDS(word + place + 8 - start <= size + 4);
        else
            HOLDS(word - start <= size || word + VMI__MACHINE_BASE - start <= size);
        if (form == VMI__ROM_RELOC_LONG) {
            uint64_t whole;

            memcpy(&whole, at, sizeof(whole));
            whole -= by;
            memcpy(at, &whole, sizeof(whole));
        } else {
            write_word(at, word);
        }
    }
    HOLDS(!memcmp(memory->text.memory, rom->bytes, rom->text_size));
    HOLDS(!memcmp(memory->data.memory, rom->bytes + rom->data_offset, rom->data_size));
    for (uint32_t i = rom->data_size; i < rom->memory_size; i++)
        HOLDS(!memory->data.memory[i]);
}

/* ---- what was bound ---- */

static void put_branch(uint8_t *bytes, uint8_t opcode, uintptr_t from, uintptr_t to)
{
    bytes[0] = opcode;
    write_word(bytes + 1, (uint32_t)(to - (from + VMI__SITE_LEAST)));
}

static bool leads_to(const uint8_t *bytes, uintptr_t from, uintptr_t to)
{
    return (bytes[0] == 0xe8 || bytes[0] == 0xe9) &&
           read_word(bytes + 1) == (uint32_t)(to - (from + VMI__SITE_LEAST));
}

static bool bind_slots(const struct vmi__rom *rom)
{
    uint8_t *bytes = malloc(VMI_ORDINALS * VMI__SLOT_SIZE);
    const struct vmi__code slots = {bytes, VMI_ORDINALS * VMI__SLOT_SIZE, SLOTS_ADDRESS};
    bool complete = true;

    HOLDS(bytes);
    memset(bytes, 0xcc, slots.size);
    for (uint32_t i = 0; i < COUNT(interface); i++) {
        struct vmi__rom_call call;
        uint32_t offset = interface[i] * VMI__SLOT_SIZE;

        put_branch(bytes + offset, 0xe9, SLOTS_ADDRESS + offset, CODE_ADDRESS);
        complete = complete && vmi__rom_find(rom, interface[i], &call);
    }
    HOLDS(complete == !vmi__slots_check(&slots, rom));
    if (complete) {
        vmi__slots_bind(&slots, rom, TEXT_ADDRESS);
        for (uint32_t i = 0; i < COUNT(interface); i++) {
            struct vmi__rom_call call;
            uint32_t offset = interface[i] * VMI__SLOT_SIZE;

            HOLDS(vmi__rom_find(rom, interface[i], &call));
            HOLDS(leads_to(bytes + offset, SLOTS_ADDRESS + offset, TEXT_ADDRESS + call.target));
            memset(bytes + offset, 0xcc, VMI__SITE_LEAST);
        }
        for (uint32_t i = 0; i < slots.size; i++)
            HOLDS(bytes[i] == 0xcc);
    }
    free(bytes);
    return complete;
}

/* Nothing but no-operations: 0x66 prefixes, 0x90, 0x0f 0x1f with its operand. */
static bool are_nops(const uint8_t *bytes, uint32_t length)
{
    while (length) {
        uint32_t size = 1;

        if (bytes[0] == 0x0f) {
            static const uint8_t sizes[] = {3, 4, 7};
            bool sib = length > 2 && (bytes[2] & 7) == 4;

            if (length < 3 || bytes[1] != 0x1f || bytes[2] >> 6 == 3)
                return false;
            size = sizes[bytes[2] >> 6] + (uint32_t)sib;
        } else if (bytes[0] != 0x90 && (bytes[0] != 0x66 || length == 1)) {
            return false;
        }
        if (size > length)
            return false;
        bytes += size;
        length -= size;
    }
    return true;
}

/* Nothing but prefixes of the instruction behind: CS or SS overrides. */
static bool are_prefixes(const uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (bytes[i] != bytes[0])
            return false;
    return bytes[0] == 0x2e || bytes[0] == 0x36;
}

static void hold_site(const struct vmi__rom *rom, const struct vmi__site *site, uintptr_t address,
                      const uint8_t *bytes, bool jump, struct vmi__site_counts *left)
{
    struct vmi__rom_call call;

    HOLDS(vmi__rom_find(rom, site->ordinal, &call));
    if (call.kind == VMI__ROM_NONE && call.inline_length <= site->length) {
        uint32_t prefixes = 0;

        while (memcmp(bytes + prefixes, rom->bytes + call.inline_offset, call.inline_length)) {
            HOLDS(bytes[prefixes] == 0x3e && prefixes + call.inline_length < VMI__SITE_LEAST);
            prefixes++;
        }
        HOLDS(are_nops(bytes + prefixes + call.inline_length,
                       site->length - prefixes - call.inline_length));
        left->instruction--;
    } else if (call.kind == VMI__ROM_NOP && !jump) {
        HOLDS(are_nops(bytes, site->length) || are_prefixes(bytes, site->length));
        left->nop--;
    } else {
        HOLDS(leads_to(bytes, address, TEXT_ADDRESS + call.target));
        HOLDS((bytes[0] == 0xe9) == jump);
        HOLDS(are_nops(bytes + VMI__SITE_LEAST, site->length - VMI__SITE_LEAST));
        left->call--;
    }
}

/* Offset of a site in the code; far outside if it is elsewhere. */
static uint32_t offset_of(const struct vmi__site *sites, uint32_t index)
{
    uintptr_t offset =
        vmi__site_address(&sites[index], SITES_ADDRESS + index * sizeof(*sites)) - CODE_ADDRESS;

    return offset > UINT32_MAX ? UINT32_MAX : (uint32_t)offset;
}

/* Is there a site that shares bytes with another? */
static bool overlap(const struct vmi__site *sites, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++)
            if (i != j && offset_of(sites, j) - offset_of(sites, i) < sites[i].length)
                return true;
    return false;
}

static void bind_sites(const struct vmi__rom *rom, const uint8_t *bytes, size_t size)
{
    struct vmi__site records[SITES_MAX];
    uint32_t count = least((uint32_t)(size / sizeof(records[0])), SITES_MAX);
    uint8_t *memory = malloc(CODE_SIZE), before[CODE_SIZE];
    const struct vmi__code code = {memory, CODE_SIZE, CODE_ADDRESS};
    const struct vmi__sites sites = {records, count, SITES_ADDRESS};
    struct vmi__site_counts counts = {0};

    HOLDS(memory);
    memcpy(records, bytes, count * sizeof(records[0]));
    memset(memory, 0x90, CODE_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = offset_of(records, i);

        if (offset <= CODE_SIZE - VMI__SITE_LEAST)
            put_branch(memory + offset, records[i].live & 1 ? 0xe9 : 0xe8, CODE_ADDRESS + offset,
                       SLOTS_ADDRESS + records[i].ordinal * VMI__SLOT_SIZE);
    }
    memcpy(before, memory, CODE_SIZE);
    if (vmi__sites_bind(&code, &sites, SLOTS_ADDRESS, rom, TEXT_ADDRESS, &counts)) {
        HOLDS(overlap(records, count) || !memcmp(memory, before, CODE_SIZE));
    } else {
        HOLDS(!overlap(records, count));
        HOLDS(counts.instruction + counts.call + counts.nop == count);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t offset = offset_of(records, i);

            HOLDS(within(offset, records[i].length, 0, CODE_SIZE));
            hold_site(rom, &records[i], CODE_ADDRESS + offset, memory + offset,
                      before[offset] == 0xe9, &counts);
            memcpy(memory + offset, before + offset, records[i].length);
        }
        HOLDS(!counts.instruction && !counts.call && !counts.nop);
        HOLDS(!memcmp(memory, before, CODE_SIZE));
    }
    free(memory);
}

/* A processor that has about half of all features. */
static bool has(uint32_t leaf, uint32_t subleaf, uint32_t number, uint32_t bit)
{
    HOLDS(number < 4 && bit < 32);
    return (leaf ^ subleaf ^ number ^ bit) & 1;
}

/* What was chosen is as good as what the table of calls says. */
static void hold_forms(struct vmi__rom *rom)
{
    vmi__rom_choose(rom, has);
    for (uint32_t ordinal = 0; ordinal < VMI_ORDINALS; ordinal++)
        HOLDS(rom->form_at[ordinal] <= rom->forms_count &&
              rom->call_at[ordinal] <= rom->calls_count);
    for (uint32_t i = 0; i < rom->calls_count; i++) {
        struct vmi__rom_call entry = vmi__rom_call(rom, i), call;

        HOLDS(vmi__rom_find(rom, entry.ordinal, &call) && call.ordinal == entry.ordinal &&
              call.target == entry.target);
        HOLDS(call.kind <= VMI__ROM_NOP && call.inline_length <= VMI__ROM_INLINE_MAX);
        HOLDS(!call.inline_length ||
              within(call.inline_offset, call.inline_length, VMI__ROM_X_END, rom->text_size));
    }
}

static uint32_t asked;

/* Leaves that hold nothing, but for one in four. */
static void ask(uint32_t leaf, uint32_t registers[4])
{
    asked++;
    for (uint32_t i = 0; i < 4; i++)
        registers[i] = leaf & 0x300 ? 0 : leaf + i;
}

/* However it is said, a sign is looked for in few leaves, and is that of one of them. */
static void hold_sign(const struct vmi__rom *rom)
{
    const uint8_t *sign = rom->bytes + VMI__ROM_X_SIGN;
    uint32_t leaf = read_word(sign), leaves = read_word(sign + VMI__ROM_SIGN_LEAVES) & 0xffff;
    uint32_t compared = read_word(sign + VMI__ROM_SIGN_LEAVES) >> 16;
    bool found = !compared;

    asked = 0;
    HOLDS(leaves <= VMI__ROM_SIGN_MOST && compared < 16);
    for (uint32_t i = 0; i < leaves; i++) {
        uint32_t registers[4], same = 0;

        ask(leaf + i * VMI__ROM_SIGN_STEP, registers);
        for (uint32_t j = 0; j < 4; j++)
            same += !(compared >> j & 1) ||
                    registers[j] == read_word(sign + VMI__ROM_SIGN_VALUES + 4 * j);
        found = found || same == 4;
    }
    asked = 0;
    HOLDS(vmi__rom_has_sign(rom, ask) == found && asked <= leaves);
}

static void hold_word_sum(const struct vmi__rom *rom)
{
    uint32_t sum = 0;

    for (uint32_t offset = VMI__ROM_EXTENSION; offset < rom->size; offset += 4)
        sum += read_word(rom->bytes + offset);
    HOLDS(!sum == !vmi__rom_word_sum(rom));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory memory;
    struct vmi__rom rom;

    if (size > UINT32_MAX || vmi__rom_read(data, (uint32_t)size, &rom))
        return 0;
    hold_word_sum(&rom);
    if (vmi__rom_word_sum(&rom))
        return 0;
    HOLDS(vmi__rom_is_vmi(data, (uint32_t)size));
    hold_description(&rom, size);
    hold_sign(&rom);
    memory.text = reserve(rom.text_size, VMI__PROVIDER_TEXT_SIZE, TEXT_ADDRESS);
    memory.data = reserve(rom.memory_size, VMI__PROVIDER_DATA_SIZE, DATA_ADDRESS);
    if (!vmi__rom_load(&rom, &memory.text, &memory.data)) {
        hold_memory(&rom, &memory);
        hold_forms(&rom);
        if (bind_slots(&rom))
            bind_sites(&rom, data + rom.size, size - rom.size);
    }
    free(memory.text.memory);
    free(memory.data.memory);
    return 0;
}

/* ---- mutation ---- */

static const uint16_t fields[] = {
    VMI__ROM_X_TEXT_SIZE,    VMI__ROM_X_DATA_OFFSET,  VMI__ROM_X_DATA_SIZE,
    VMI__ROM_X_MEMORY_SIZE,  VMI__ROM_X_RELOC_OFFSET, VMI__ROM_X_RELOC_COUNT,
    VMI__ROM_X_CALLS_COUNT,  VMI__ROM_X_NAME_OFFSET,  VMI__ROM_X_PROBE,
    VMI__ROM_X_CALLS_OFFSET, VMI__ROM_X_START,        VMI__ROM_X_FORMS_OFFSET,
    VMI__ROM_X_FORMS_COUNT,  VMI__ROM_X_SIGN,
};

static void mutate_word(uint8_t *data, size_t size, uint64_t offset, uint32_t *state)
{
    uint32_t words[COUNT(fields) + 1];

    if (offset + 4 > size)
        return;
    for (uint32_t i = 0; i < COUNT(fields); i++)
        words[i] = read_word(data + fields[i]);
    words[COUNT(fields)] = (uint32_t)size;
    write_word(data + offset, odd_word(state, read_word(data + offset), words, COUNT(words)));
}

static uint32_t length_of(const uint8_t *data)
{
    return data[VMI__ROM_LENGTH] * (uint32_t)VMI__ROM_UNIT;
}

static size_t mutate_sites(uint8_t *data, size_t size, size_t room, uint32_t *state)
{
    struct vmi__site site = {0};
    size_t start = length_of(data), count, first = start;
    uintptr_t place;

    if (start > size)
        return size;
    count = (size - start) / sizeof(site);
    if (count && below(state, 2))
        start += below(state, (uint32_t)count) * sizeof(site);
    else
        start += count * sizeof(site);
    if (start + sizeof(site) > room)
        return size;
    place = CODE_ADDRESS + below(state, CODE_SIZE);
#ifdef VMI__BIND_I386
    (void)first;
    site.address = (uint32_t)place;
#else
    site.distance = (int32_t)(place - (SITES_ADDRESS + (start - first)));
#endif
    site.ordinal = (uint16_t)interface[below(state, COUNT(interface))];
    site.length = (uint8_t)(VMI__SITE_LEAST + (below(state, 2) ? 0 : below(state, 12)));
    site.live = (uint8_t)below(state, 256);
    if (!below(state, 8))
        site.ordinal = (uint16_t)below(state, 65536);
    memcpy(data + start, &site, sizeof(site));
    return start + sizeof(site) > size ? start + sizeof(site) : size;
}

/* The sign of one of its leaves, or of one behind them; seldom of an unknown kind. */
static void mutate_sign(uint8_t *data, uint32_t *state)
{
    uint8_t *sign = data + VMI__ROM_X_SIGN;
    uint32_t leaves = below(state, VMI__ROM_SIGN_MOST + 2), registers[4];

    write_word(sign + VMI__ROM_SIGN_LEAVES, leaves | below(state, 17) << 16);
    ask(read_word(sign) + below(state, leaves + 2) * VMI__ROM_SIGN_STEP, registers);
    for (uint32_t i = 0; i < 4; i++)
        write_word(sign + VMI__ROM_SIGN_VALUES + 4 * i, registers[i]);
}

/* Most inputs get what is checked first right, so that they go on to what is checked next. */
static void seal(uint8_t *data, size_t size)
{
    uint32_t sum = 0;

    data[VMI__ROM_SIGNATURE] = VMI__ROM_SIGNATURE_VALUE & 0xff;
    data[VMI__ROM_SIGNATURE + 1] = VMI__ROM_SIGNATURE_VALUE >> 8;
    write_word(data + VMI__ROM_VMI_SIGNATURE, VMI__ROM_VMI_SIGNATURE_VALUE);
    data[VMI__ROM_API_MAJOR] = VMI_API_MAJOR;
    write_word(data + VMI__ROM_X_MAGIC, VMI__ROM_X_MAGIC_VALUE);
    data[VMI__ROM_X_MACHINE] = VMI__MACHINE;
    data[VMI__ROM_X_MACHINE + 1] = 0;
    if (!length_of(data) || length_of(data) > size)
        data[VMI__ROM_LENGTH] = (uint8_t)least((uint32_t)(size / VMI__ROM_UNIT), 255);
    write_word(data + VMI__ROM_X_SUM, 0);
    for (uint32_t offset = VMI__ROM_EXTENSION; offset < length_of(data); offset += 4)
        sum += read_word(data + offset);
    write_word(data + VMI__ROM_X_SUM, -sum);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    uint32_t state = seed | 1, rounds = 1 + below(&state, 3);

    while (rounds--) {
        uint32_t choice = below(&state, 16), start, count;

        if (size < VMI__ROM_X_END || choice == 0) {
            size = LLVMFuzzerMutate(data, size, room);
        } else if (choice < 5) {
            mutate_word(data, size, fields[below(&state, COUNT(fields))], &state);
        } else if (choice < 9) {
            start = read_word(data + VMI__ROM_X_CALLS_OFFSET);
            count = read_word(data + VMI__ROM_X_CALLS_COUNT) * (VMI__ROM_CALL_SIZE / 4);
            if (count)
                mutate_word(data, size, (uint64_t)start + below(&state, count) * 4, &state);
        } else if (choice < 12) {
            start = read_word(data + VMI__ROM_X_RELOC_OFFSET);
            count = read_word(data + VMI__ROM_X_RELOC_COUNT);
            if (count)
                mutate_word(data, size, (uint64_t)start + below(&state, count) * 4ull, &state);
        } else if (choice < 14) {
            size = mutate_sites(data, size, room, &state);
        } else if (choice == 14 && below(&state, 2)) {
            start = read_word(data + VMI__ROM_X_FORMS_OFFSET);
            count = read_word(data + VMI__ROM_X_FORMS_COUNT) * (VMI__ROM_FORM_SIZE / 4);
            if (count)
                mutate_word(data, size, (uint64_t)start + below(&state, count) * 4, &state);
        } else if (choice == 14) {
            mutate_word(data, size, below(&state, (uint32_t)size), &state);
        } else if (below(&state, 2)) {
            mutate_sign(data, &state);
        } else {
            data[VMI__ROM_LENGTH] = (uint8_t)(data[VMI__ROM_LENGTH] + below(&state, 5) - 2);
        }
    }
    if (size >= VMI__ROM_X_END && below(&state, 32))
        seal(data, size);
    return size;
}
