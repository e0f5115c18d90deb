/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "bind/rom.h"

#include <vmi/constants.h>

#include "bind/machine.h"
#include "bind/opcodes.h"
#include "bind/words.h"

#define PAGE_SIZE 4096u

/* Words of 32 bits in a round of adding up. */
#define FIRST_UNROLLED 4  /* in the first unit behind the published header */
#define UNIT_UNROLLED  64 /* in other units */

/* The machine's own order is that of images. */
static uint32_t get16(const uint8_t *bytes)
{
    uint16_t value;

    __builtin_memcpy(&value, bytes, sizeof(value));
    return value;
}

static uint32_t get32(const uint8_t *bytes)
{
    uint32_t value;

    __builtin_memcpy(&value, bytes, sizeof(value));
    return value;
}

static void put32(uint8_t *bytes, uint32_t value)
{
    __builtin_memcpy(bytes, &value, sizeof(value));
}

/* Does [offset, offset + size) lie in [start, end)? */
static bool inside(uint32_t offset, uint32_t size, uint32_t start, uint32_t end)
{
    return offset >= start && offset <= end && size <= end - offset;
}

bool vmi__rom_is_vmi(const uint8_t *bytes, uint32_t available)
{
    return available >= VMI__ROM_HEADER_SIZE &&
           get32(bytes + VMI__ROM_VMI_SIGNATURE) == VMI__ROM_VMI_SIGNATURE_VALUE;
}

/* Is there code or a constant of the image, behind the header? */
static bool in_text(const struct vmi__rom *rom, uint32_t offset, uint32_t size)
{
    return inside(offset, size, VMI__ROM_X_END, rom->text_size);
}

const char *vmi__rom_open(const uint8_t *bytes, uint32_t available, struct vmi__rom *rom)
{
    const uint8_t *sign = bytes + VMI__ROM_X_SIGN;

    if (!vmi__rom_is_vmi(bytes, available))
        return "it is no VMI ROM";
    if (get16(bytes + VMI__ROM_SIGNATURE) != VMI__ROM_SIGNATURE_VALUE)
        return "it has not the signature of an option ROM";
    rom->bytes = bytes;
    rom->size = bytes[VMI__ROM_LENGTH] * (uint32_t)VMI__ROM_UNIT;
    if (rom->size > available)
        return "it is longer than the memory that it lies in";
    if (rom->size < VMI__ROM_HEADER_SIZE)
        return "it is shorter than its header";
    if (bytes[VMI__ROM_API_MAJOR] != VMI_API_MAJOR)
        return "it is for another major version of the interface";
    if (rom->size < VMI__ROM_X_END || get32(bytes + VMI__ROM_X_MAGIC) != VMI__ROM_X_MAGIC_VALUE)
        return "it has no extension, so that it cannot serve this kernel";
    if (get16(bytes + VMI__ROM_X_VERSION) != VMI__ROM_X_VERSION_VALUE ||
        get16(bytes + VMI__ROM_X_SIZE) < VMI__ROM_X_END - VMI__ROM_EXTENSION)
        return "its extension is of another version";
    if (get16(bytes + VMI__ROM_X_MACHINE) != VMI__MACHINE)
        return "it is for another machine";
    if (get16(sign + VMI__ROM_SIGN_LEAVES) > VMI__ROM_SIGN_MOST ||
        get16(sign + VMI__ROM_SIGN_REGISTERS) >> 4)
        return "its sign is of an unknown kind";
    return 0;
}

bool vmi__rom_has_sign(const struct vmi__rom *rom,
                       void (*ask)(uint32_t leaf, uint32_t registers[4]))
{
    const uint8_t *sign = rom->bytes + VMI__ROM_X_SIGN, *values = sign + VMI__ROM_SIGN_VALUES;
    uint32_t leaf = get32(sign + VMI__ROM_SIGN_LEAF);
    uint32_t leaves = get16(sign + VMI__ROM_SIGN_LEAVES);
    uint32_t compared = get16(sign + VMI__ROM_SIGN_REGISTERS), first, value;

    if (!compared)
        return true;
    first = (uint32_t)__builtin_ctz(compared);
    value = get32(values + 4 * first);
    for (; leaves; leaves--, leaf += VMI__ROM_SIGN_STEP) {
        uint32_t registers[4], i = first + 1;

        ask(leaf, registers);
        if (registers[first] != value)
            continue;
        while (i < 4 && (!(compared >> i & 1) || registers[i] == get32(values + 4 * i)))
            i++;
        if (i == 4)
            return true;
    }
    return false;
}

static const char *read_parts(struct vmi__rom *rom)
{
    const uint8_t *bytes = rom->bytes;

    rom->text_size = get32(bytes + VMI__ROM_X_TEXT_SIZE);
    rom->data_offset = get32(bytes + VMI__ROM_X_DATA_OFFSET);
    rom->data_size = get32(bytes + VMI__ROM_X_DATA_SIZE);
    rom->memory_size = get32(bytes + VMI__ROM_X_MEMORY_SIZE);
    rom->reloc_offset = get32(bytes + VMI__ROM_X_RELOC_OFFSET);
    rom->reloc_count = get32(bytes + VMI__ROM_X_RELOC_COUNT);
    if (!inside(rom->text_size, 0, VMI__ROM_X_END, rom->size))
        return "its text part is not in the file";
    if (rom->data_offset & (PAGE_SIZE - 1) ||
        !inside(rom->data_offset, rom->data_size, rom->text_size, rom->size))
        return "its data part is not in the file, behind the text part and on a page";
    if (rom->memory_size < rom->data_size || rom->memory_size > INT32_MAX)
        return "its data part has an impossible size";
    if (rom->reloc_count > rom->size / VMI__ROM_RELOC_SIZE ||
        !inside(rom->reloc_offset, rom->reloc_count * VMI__ROM_RELOC_SIZE,
                rom->data_offset + rom->data_size, rom->size))
        return "its relocations are not in the file, behind the data part";
    return 0;
}

/* Are the instructions of a call those that its kind has, and in the text part? */
static bool has_instructions(const struct vmi__rom *rom, const struct vmi__rom_call *call)
{
    return call->inline_length <= VMI__ROM_INLINE_MAX &&
           (!call->inline_length || in_text(rom, call->inline_offset, call->inline_length)) &&
           (call->kind == VMI__ROM_NONE) == (call->inline_length != 0);
}

static const char *read_calls(struct vmi__rom *rom)
{
    uint32_t next = 0;

    /* A later minor version may have calls that this kernel knows nothing of, and never makes. */
    bool later = rom->bytes[VMI__ROM_API_MINOR] > VMI_API_MINOR;

    rom->calls_offset = get32(rom->bytes + VMI__ROM_X_CALLS_OFFSET);
    rom->calls_count = get32(rom->bytes + VMI__ROM_X_CALLS_COUNT);
    vmi__fill((uint8_t *)rom->call_at, 0, sizeof(rom->call_at));
    if (rom->calls_count > rom->size / VMI__ROM_CALL_SIZE ||
        !in_text(rom, rom->calls_offset, rom->calls_count * VMI__ROM_CALL_SIZE))
        return "its table of calls is not in the text part";
    for (uint32_t i = 0; i < rom->calls_count; i++) {
        struct vmi__rom_call call = vmi__rom_call(rom, i);

        if (call.ordinal < next)
            return "its calls are not in order";
        if (call.ordinal >= VMI_ORDINALS && !later)
            return "one of its calls is newer than the version that it names";
        next = call.ordinal + 1;
        if (call.ordinal < VMI_ORDINALS)
            rom->call_at[call.ordinal] = (uint16_t)(i + 1);
        if (call.kind > VMI__ROM_NOP)
            return "one of its calls is of an unknown kind";
        if (!in_text(rom, call.target, 1))
            return "one of its calls is outside its text part";
        if (!has_instructions(rom, &call))
            return "one of its calls has impossible instructions";
    }
    return 0;
}

/* An entry of the table of forms; it has no target. */
static struct vmi__rom_call form_of(const struct vmi__rom *rom, uint32_t index)
{
    const uint8_t *entry = rom->bytes + rom->forms_offset + index * VMI__ROM_FORM_SIZE;

    return (struct vmi__rom_call){
        .ordinal = get16(entry + VMI__ROM_FORM_ORDINAL),
        .kind = entry[VMI__ROM_FORM_KIND],
        .inline_length = entry[VMI__ROM_FORM_INLINE_LENGTH],
        .inline_offset = get32(entry + VMI__ROM_FORM_INLINE),
    };
}

static const char *read_forms(struct vmi__rom *rom)
{
    uint32_t least = 0;

    vmi__fill(rom->form_at, 0, sizeof(rom->form_at));
    rom->forms_offset = get32(rom->bytes + VMI__ROM_X_FORMS_OFFSET);
    rom->forms_count = get32(rom->bytes + VMI__ROM_X_FORMS_COUNT);
    if (rom->forms_count > VMI__ROM_FORMS_MAX ||
        !in_text(rom, rom->forms_offset, rom->forms_count * VMI__ROM_FORM_SIZE))
        return "its table of forms is not in the text part, or too long";
    for (uint32_t i = 0; i < rom->forms_count; i++) {
        const uint8_t *entry = rom->bytes + rom->forms_offset + i * VMI__ROM_FORM_SIZE;
        struct vmi__rom_call form = form_of(rom, i);

        if (form.ordinal < least)
            return "its forms are not in order";
        least = form.ordinal;
        if (!vmi__rom_has(rom, form.ordinal))
            return "one of its forms is of a call that it does not have";
        if (form.kind > VMI__ROM_NOP || entry[VMI__ROM_FORM_REGISTER] > 3 ||
            entry[VMI__ROM_FORM_BIT] > 31 || entry[VMI__ROM_FORM_FEATURE] > 31)
            return "one of its forms is of an unknown kind or feature";
        if (!has_instructions(rom, &form))
            return "one of its forms has impossible instructions";
    }
    return 0;
}

void vmi__rom_choose(struct vmi__rom *rom,
                     bool (*has)(uint32_t leaf, uint32_t subleaf, uint32_t number, uint32_t bit),
                     uint32_t without)
{
    vmi__fill(rom->form_at, 0, sizeof(rom->form_at));
    for (uint32_t i = 0; i < rom->forms_count; i++) {
        const uint8_t *entry = rom->bytes + rom->forms_offset + i * VMI__ROM_FORM_SIZE;
        uint32_t ordinal = get16(entry + VMI__ROM_FORM_ORDINAL);

        /* What this kernel never calls has no form. */
        if (ordinal < VMI_ORDINALS && !rom->form_at[ordinal] &&
            !(without >> entry[VMI__ROM_FORM_FEATURE] & 1) &&
            has(get32(entry + VMI__ROM_FORM_LEAF), get32(entry + VMI__ROM_FORM_SUBLEAF),
                entry[VMI__ROM_FORM_REGISTER], entry[VMI__ROM_FORM_BIT]))
            rom->form_at[ordinal] = (uint8_t)(i + 1);
    }
}

static const char *read_name(struct vmi__rom *rom)
{
    uint32_t name = get32(rom->bytes + VMI__ROM_X_NAME_OFFSET), length = 0;

    for (;; length++) {
        uint8_t character;

        if (!in_text(rom, name, length + 1))
            return "its name is not in its text part";
        character = rom->bytes[name + length];
        rom->name[length] = (char)character;
        if (!character)
            return length ? 0 : "it has no name";
        if (length == VMI__ROM_NAME_MAX || character <= ' ' || character > '~')
            return "its name cannot be printed";
    }
}

static const char *read_rest(struct vmi__rom *rom)
{
    rom->priority = get32(rom->bytes + VMI__ROM_X_PRIORITY);
    rom->probe = get32(rom->bytes + VMI__ROM_X_PROBE);
    rom->start = get32(rom->bytes + VMI__ROM_X_START);
    if (!in_text(rom, rom->probe, 1) || !in_text(rom, rom->start, 1))
        return "its entry points are outside its text part";
    return read_name(rom);
}

const char *vmi__rom_name(struct vmi__rom *rom)
{
    const char *reason = read_parts(rom);

    return reason ? reason : read_name(rom);
}

const char *vmi__rom_word_sum(const struct vmi__rom *rom)
{
    const uint8_t *next = rom->bytes + VMI__ROM_EXTENSION, *end = rom->bytes + rom->size;
    const uint8_t *units = rom->bytes + VMI__ROM_UNIT;
    uint32_t sum = 0;

    /* The rest of the first unit is no whole number of long rounds. */
    for (; next < units; next += 4 * FIRST_UNROLLED)
#pragma GCC unroll 4
        for (uint32_t i = 0; i < FIRST_UNROLLED; i++)
            vmi__add(&sum, next + 4 * i);
    for (; next < end; next += 4 * UNIT_UNROLLED)
#pragma GCC unroll 64
        for (uint32_t i = 0; i < UNIT_UNROLLED; i++)
            vmi__add(&sum, next + 4 * i);
    return sum ? "its words do not add up" : 0;
}

const char *vmi__rom_read(const uint8_t *bytes, uint32_t available, struct vmi__rom *rom)
{
    const char *reason = vmi__rom_open(bytes, available, rom);

    if (!reason)
        reason = read_parts(rom);
    if (!reason)
        reason = read_calls(rom);
    if (!reason)
        reason = read_forms(rom);
    return reason ? reason : read_rest(rom);
}

struct vmi__rom_call vmi__rom_call(const struct vmi__rom *rom, uint32_t index)
{
    const uint8_t *entry = rom->bytes + rom->calls_offset + index * VMI__ROM_CALL_SIZE;

    return (struct vmi__rom_call){
        .ordinal = get16(entry + VMI__ROM_CALL_ORDINAL),
        .kind = entry[VMI__ROM_CALL_KIND],
        .target = get32(entry + VMI__ROM_CALL_TARGET),
        .inline_length = entry[VMI__ROM_CALL_INLINE_LENGTH],
        .inline_offset = get32(entry + VMI__ROM_CALL_INLINE),
    };
}

struct vmi__rom_call vmi__rom_form(const struct vmi__rom *rom, uint32_t ordinal, uint32_t form)
{
    struct vmi__rom_call call = vmi__rom_call(rom, rom->call_at[ordinal] - 1u);

    if (form) {
        uint32_t target = call.target;

        call = form_of(rom, form - 1);
        call.target = target;
    }
    return call;
}

bool vmi__rom_find(const struct vmi__rom *rom, uint32_t ordinal, struct vmi__rom_call *call)
{
    uint32_t low = 0, high = rom->calls_count;

    if (ordinal < VMI_ORDINALS) {
        if (!rom->call_at[ordinal])
            return false;
        *call = vmi__rom_form(rom, ordinal, rom->form_at[ordinal]);
        return true;
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;

        *call = vmi__rom_call(rom, middle);
        if (call->ordinal == ordinal)
            return true;
        if (call->ordinal < ordinal)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/*
 * Does a word that is to be relocated refer to the part of `size` bytes from `start`? Its end is
 * part of it. An address that is to be guest-physical is the linear one less the linear base.
 */
static bool refers(uint32_t word, uint32_t start, uint32_t size)
{
    return word - start <= size || word + VMI__MACHINE_BASE - start <= size;
}

static uint32_t relocation_of(const struct vmi__rom *rom, uint32_t index)
{
    return get32(rom->bytes + rom->reloc_offset + index * VMI__ROM_RELOC_SIZE);
}

static uint32_t place_of(uint32_t relocation)
{
    return relocation >> VMI__ROM_RELOC_SHIFT;
}

/* What a relocation has besides its place: the form, and the part that is referred to. */
#define KIND ((1u << VMI__ROM_RELOC_SHIFT) - 1)

static uint32_t form_of_place(uint32_t relocation)
{
    return (relocation & KIND) >> 1;
}

/* Behind the place. */
static uint32_t end_of(uint32_t relocation)
{
    return place_of(relocation) + (form_of_place(relocation) == VMI__ROM_RELOC_LONG ? 8 : 4);
}

/* Is anything in [offset, offset + size) relocated, by relocations that are in order? */
static bool is_relocated(const struct vmi__rom *rom, uint32_t offset, uint32_t size)
{
    uint32_t low = 0, high = rom->reloc_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (end_of(relocation_of(rom, middle)) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return size && low < rom->reloc_count && place_of(relocation_of(rom, low)) < offset + size;
}

/*
 * Instructions are copied from the file to call sites, where nothing of them is relocated. They lie
 * together, so that nearly always one look at all of them is enough.
 */
static bool inlines_are_fixed(const struct vmi__rom *rom)
{
    uint32_t low = UINT32_MAX, high = 0;

    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < rom->calls_count + rom->forms_count; i++) {
            struct vmi__rom_call call =
                i < rom->calls_count ? vmi__rom_call(rom, i) : form_of(rom, i - rom->calls_count);
            uint32_t end = call.inline_offset + call.inline_length;

            if (!call.inline_length)
                continue;
            if (pass && is_relocated(rom, call.inline_offset, call.inline_length))
                return false;
            low = call.inline_offset < low ? call.inline_offset : low;
            high = end > high ? end : high;
        }
        if (low >= high || !is_relocated(rom, low, high - low))
            break;
    }
    return true;
}

/*
 * Adds to what a relocation's place holds (`at`) how far the part went that it refers to; to a
 * distance that less the way of its own part. Returns 0, or the reason to refuse.
 */
static inline const char *relocate(const struct vmi__rom *rom, uint32_t relocation, uint8_t *at,
                                   bool in_data, uintptr_t text_moved, uintptr_t data_moved)
{
    bool to_data = relocation & 1, right;
    uintptr_t moved = to_data ? data_moved : text_moved;
    uint32_t start = to_data ? rom->data_offset : 0, word = get32(at);
    uint32_t size = to_data ? rom->memory_size : rom->text_size;

    if (form_of_place(relocation) >
        (VMI__LONG_MODE ? VMI__ROM_RELOC_DISTANCE : VMI__ROM_RELOC_WORD))
        return "one of its relocations is of an unknown form";
    switch (form_of_place(relocation)) {
    case VMI__ROM_RELOC_WORD:
        right = refers(word, start, size);
        break;
    case VMI__ROM_RELOC_LONG: {
        uint64_t sum = ((uint64_t)get32(at + 4) << 32 | word) + moved;

        right = refers(word, start, size);
        put32(at + 4, (uint32_t)(sum >> 32));
        break;
    }
    default: /* VMI__ROM_RELOC_DISTANCE */
        /* Counted from behind the instruction, which may end with an operand of up to 4 bytes. */
        right = to_data != in_data && word + place_of(relocation) + 8 - start <= size + 4;
        moved -= in_data ? data_moved : text_moved;
    }
    if (!right)
        return to_data ? "one of its relocations does not refer to its data part"
                       : "one of its relocations does not refer to its text part";
    put32(at, word + (uint32_t)moved);
    return 0;
}

/*
 * Relocates from relocation `index` on while these are of the kind that nearly all are: in the text
 * part at `memory`, from offset `*next` on, and referring to it or to the data part, which go
 * `text_moved` and `data_moved` far. Returns the first that is not, or is wrong; `*next` is then
 * the end of the place before.
 */
static uint32_t relocate_usual(const struct vmi__rom *rom, uint32_t index, uint8_t *memory,
                               uint32_t *next, uintptr_t text_moved, uint32_t data_moved)
{
    const uint8_t *first = rom->bytes + rom->reloc_offset, *at = first;
    const uint8_t *end = first + rom->reloc_count * VMI__ROM_RELOC_SIZE;
    uint32_t text_size = rom->text_size, memory_size = rom->memory_size;
    uint32_t start = rom->data_offset, least = *next, last = text_size - 4;

    for (at += index * VMI__ROM_RELOC_SIZE; at < end; at += VMI__ROM_RELOC_SIZE) {
        uint32_t relocation = get32(at), place = place_of(relocation), size = 4, word;

        if (place < least || place > last)
            break;
        word = get32(memory + place);
        if (!(relocation & KIND)) {
            if (word > text_size)
                break;
            word += (uint32_t)text_moved;
        } else if ((relocation & KIND) == (VMI__ROM_RELOC_WORD << 1 | 1)) {
            if (word - start > memory_size)
                break;
            word += data_moved;
        } else if (VMI__LONG_MODE && (relocation & KIND) == (VMI__ROM_RELOC_DISTANCE << 1 | 1)) {
            if (word + place + 4 - start > memory_size)
                break;
            word += data_moved - (uint32_t)text_moved;
        } else if (VMI__LONG_MODE && (relocation & KIND) == VMI__ROM_RELOC_LONG << 1) {
            uint64_t sum;

            if (word > text_size || place > last - 4)
                break;
            sum = ((uint64_t)get32(memory + place + 4) << 32 | word) + text_moved;
            put32(memory + place + 4, (uint32_t)(sum >> 32));
            word = (uint32_t)sum;
            size = 8;
        } else {
            break;
        }
        put32(memory + place, word);
        least = place + size;
    }
    *next = least;
    return (uint32_t)(at - first) / VMI__ROM_RELOC_SIZE;
}

/* Copies a part to its place; behind it is what an unused place has. */
static void put_part(struct vmi__rom_place *place, const uint8_t *bytes, uint32_t size,
                     uint32_t memory_size, uint8_t unused)
{
    vmi__copy(place->memory, bytes, size);
    if (place->used > size)
        vmi__fill(place->memory + size, unused, place->used - size);
    place->used = memory_size;
}

const char *vmi__rom_load(const struct vmi__rom *rom, struct vmi__rom_place *text,
                          struct vmi__rom_place *data)
{
    uintptr_t data_moved = data->address - rom->data_offset;
    uint32_t next = VMI__ROM_X_END;

    if (rom->text_size > text->room || rom->memory_size > data->room)
        return "there is no room for it";
    put_part(text, rom->bytes, rom->text_size, rom->text_size, INT3);
    put_part(data, rom->bytes + rom->data_offset, rom->data_size, rom->memory_size, 0);
    for (uint32_t i = 0; i < rom->reloc_count; i++) {
        uint32_t relocation, place, size;
        bool in_data;
        const char *reason;

        i = relocate_usual(rom, i, text->memory, &next, text->address, (uint32_t)data_moved);
        if (i == rom->reloc_count)
            break;
        relocation = relocation_of(rom, i);
        place = place_of(relocation);
        size = end_of(relocation) - place;
        in_data = !inside(place, size, 0, rom->text_size);
        if (place < next)
            return "its relocations overlap or are not in order";
        next = place + size;
        if (in_data && !inside(place, size, rom->data_offset, rom->data_offset + rom->data_size))
            return "one of its relocations is outside of it";
        reason =
            relocate(rom, relocation,
                     in_data ? data->memory + (place - rom->data_offset) : text->memory + place,
                     in_data, text->address, data_moved);
        if (reason)
            return reason;
    }
    if (is_relocated(rom, rom->calls_offset, rom->calls_count * VMI__ROM_CALL_SIZE) ||
        is_relocated(rom, rom->forms_offset, rom->forms_count * VMI__ROM_FORM_SIZE))
        return "one of its tables is relocated";
    return inlines_are_fixed(rom) ? 0 : "one of its calls has instructions that are relocated";
}
