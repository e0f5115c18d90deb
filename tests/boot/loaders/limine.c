/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Plays the loader of the Limine boot protocol, base revision 3 (limine-protocol, PROTOCOL.md):
 * loads the ELF64 that it carries at a base of its own choosing, answers the requests that it finds
 * in the image, and enters it in the state that the protocol promises. `seed=N` on the command line
 * chooses the places; with `high` the image lies above 4 GiB. What it does is said on the first
 * serial port.
 */
#include <stddef.h>
#include <stdint.h>

#define PAGE      4096ull
#define LARGE     0x200000ull
#define IMAGE_MIN 0xffffffff80000000ull
#define ENTRIES   512

#define PRESENT 1ull
#define WRITE   2ull
#define PS      0x80ull
#define NX      (1ull << 63)

#define UART 0x3f8

enum { USABLE, RESERVED, ACPI, NVS, BAD, LOADERS, IMAGE };

struct range {
    uint64_t base, size, kind;
};

struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line, rsdp, map;
    uint32_t map_count, reserved;
};

struct map_entry {
    uint64_t base, size;
    uint32_t kind, reserved;
};

struct elf {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, programs, sections;
    uint32_t flags;
    uint16_t size, program_size, program_count, section_size, section_count, names;
};

struct program {
    uint32_t type, flags;
    uint64_t offset, linear, physical, file_size, memory_size, align;
};

enum { LOAD = 1, DYNAMIC = 2, EXECUTE = 1, WRITABLE = 2 };

struct dynamic {
    uint64_t tag, value;
};

enum { DT_RELA = 7, DT_RELASZ = 8, DT_FLAGS_1 = 0x6ffffffb, DF_1_PIE = 0x08000000 };

struct rela {
    uint64_t place, info, addend;
};

enum { RELATIVE = 8 };

void load(const struct start_info *info);
void leave(uint64_t root, uint64_t offset, uint64_t stack, uint64_t entry)
    __attribute__((noreturn));

extern const uint8_t kernel[], kernel_end[];
extern char loader_start[], loader_end[];
extern uint64_t identity[];

static uint64_t direct_map;
static struct range ranges[64];
static struct range *range_list[64];
static uint32_t range_count;

/* ---- telling ---- */

static void put(char c)
{
    uint8_t status;

    do
        __asm__ volatile("inb %1, %0" : "=a"(status) : "Nd"((uint16_t)(UART + 5)));
    while (!(status & 0x20));
    __asm__ volatile("outb %0, %1" : : "a"((uint8_t)c), "Nd"((uint16_t)UART));
}

static void say(const char *text)
{
    while (*text)
        put(*text++);
}

static void say_number(const char *name, uint64_t number)
{
    say(name);
    for (int shift = 60; shift >= 0; shift -= 4)
        put("0123456789abcdef"[number >> shift & 15]);
}

static void __attribute__((noreturn)) fail(const char *text)
{
    say("loader: ");
    say(text);
    say("\r\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* ---- memory ---- */

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);

void *memset(void *to, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

/* What the loader needs for good lies in itself, and is the loader's for the kernel. */
static uint8_t pool[4 << 20] __attribute__((aligned(4096)));
static uint64_t pool_used;

static void *take(uint64_t size)
{
    void *at = pool + pool_used;

    pool_used += (size + PAGE - 1) & ~(PAGE - 1);
    if (pool_used > sizeof(pool))
        fail("out of memory");
    return memset(at, 0, size);
}

static void add(uint64_t base, uint64_t size, uint64_t kind)
{
    if (!size)
        return;
    if (range_count == sizeof(ranges) / sizeof(ranges[0]))
        fail("too many ranges");
    ranges[range_count++] = (struct range){base, size, kind};
}

/* Gives a part of a usable range another kind. */
static void carve(uint64_t base, uint64_t size, uint64_t kind)
{
    for (uint32_t i = 0; i < range_count; i++) {
        struct range whole = ranges[i];

        if (whole.kind != USABLE || base < whole.base || base + size > whole.base + whole.size)
            continue;
        ranges[i] = (struct range){base, size, kind};
        add(whole.base, base - whole.base, USABLE);
        add(base + size, whole.base + whole.size - base - size, USABLE);
        return;
    }
    fail("a part of memory is not usable");
}

/* BIOS's kinds are one more than the protocol's. Usable memory is whole pages. */
static void read_map(const struct start_info *info)
{
    const struct map_entry *entry = (const struct map_entry *)info->map;

    for (uint32_t i = 0; i < info->map_count; i++, entry++) {
        uint64_t base = entry->base, end = entry->base + entry->size;

        if (entry->kind == USABLE + 1) {
            base = (base + PAGE - 1) & ~(PAGE - 1);
            end &= ~(PAGE - 1);
        }
        /* The first page stays the BIOS's. */
        if (base == 0 && entry->kind == USABLE + 1)
            base = PAGE;
        if (end > base)
            add(base, end - base, entry->kind - 1);
    }
}

/* The protocol's map is in rising order. */
static void sort(void)
{
    for (uint32_t i = 0; i < range_count; i++) {
        for (uint32_t j = i + 1; j < range_count; j++) {
            struct range other = ranges[i];

            if (ranges[j].base < other.base) {
                ranges[i] = ranges[j];
                ranges[j] = other;
            }
        }
        range_list[i] = (struct range *)((uint64_t)&ranges[i] + direct_map);
    }
}

/* The last place of so many bytes in a usable range on one side of 4 GiB, a few pages off its end.
 */
static uint64_t place(uint64_t size, int high, uint64_t seed)
{
    uint64_t off = (1 + seed % 61) * PAGE, found = 0;

    for (uint32_t i = 0; i < range_count; i++) {
        const struct range *range = &ranges[i];
        uint64_t end = range->base + range->size;

        if (range->kind == USABLE && (range->base >= 1ull << 32) == !!high &&
            range->size >= size + off && end - size - off > found)
            found = end - size - off;
    }
    if (!found)
        fail("no room for the kernel");
    return found;
}

/* ---- page tables ---- */

static void map(uint64_t *root, uint64_t linear, uint64_t physical, uint64_t bits, int shift)
{
    uint64_t *table = root;

    for (int level = 39; level > shift; level -= 9) {
        uint64_t *entry = &table[linear >> level & (ENTRIES - 1)];

        if (!(*entry & PRESENT))
            *entry = (uint64_t)take(PAGE) | PRESENT | WRITE;
        table = (uint64_t *)(*entry & 0x000ffffffffff000ull);
    }
    table[linear >> shift & (ENTRIES - 1)] = physical | bits | PRESENT | (shift > 12 ? PS : 0);
}

/* The direct map has what is memory of the kernel's or the loader's, and nothing else. */
static void map_memory(uint64_t *root)
{
    for (uint32_t i = 0; i < range_count; i++) {
        uint64_t at = ranges[i].base, end = at + ranges[i].size;

        if (ranges[i].kind != USABLE && ranges[i].kind != LOADERS && ranges[i].kind != IMAGE)
            continue;
        while (at < end) {
            int shift = !(at & (LARGE - 1)) && end - at >= LARGE ? 21 : 12;

            /* leave() goes on there. */
            map(root, direct_map + at, at, ranges[i].kind == LOADERS ? WRITE : WRITE | NX, shift);
            at += 1ull << shift;
        }
    }
}

/* ---- the image ---- */

static uint64_t linear_base, physical_base, slide;

static const struct program *program(uint32_t i)
{
    const struct elf *elf = (const struct elf *)kernel;

    return (const struct program *)(kernel + elf->programs + i * elf->program_size);
}

static void *in_memory(uint64_t linear)
{
    return (void *)(physical_base + (linear + slide - linear_base));
}

static void relocate(const struct program *dynamic)
{
    const struct dynamic *entry = in_memory(dynamic->linear);
    uint64_t at = 0, size = 0;

    for (; entry->tag; entry++) {
        if (entry->tag == DT_RELA)
            at = entry->value;
        if (entry->tag == DT_RELASZ)
            size = entry->value;
    }
    for (uint64_t i = 0; i < size / sizeof(struct rela); i++) {
        const struct rela *rela = (const struct rela *)in_memory(at) + i;

        if ((uint32_t)rela->info != RELATIVE)
            fail("the kernel has a relocation that is not for loaders");
        *(uint64_t *)in_memory(rela->place) = rela->addend + slide;
    }
}

/* Whether an executable may be moved is said in its dynamic section. */
static int is_movable(const struct program *dynamic)
{
    const struct dynamic *entry = (const struct dynamic *)(kernel + dynamic->offset);

    for (; entry->tag; entry++)
        if (entry->tag == DT_FLAGS_1 && entry->value & DF_1_PIE)
            return 1;
    return 0;
}

/* Loads the segments; returns how many bytes the image has. */
static uint64_t load_image(int high, uint64_t seed)
{
    const struct elf *elf = (const struct elf *)kernel;
    const struct program *dynamic = 0;
    uint64_t start = ~0ull, end = 0;

    if (*(const uint32_t *)elf->ident != 0x464c457f || elf->ident[4] != 2 || elf->machine != 62)
        fail("the kernel is no ELF64 for x86-64");
    for (uint32_t i = 0; i < elf->program_count; i++) {
        const struct program *p = program(i);

        if (p->type == DYNAMIC)
            dynamic = p;
        if (p->type != LOAD)
            continue;
        if (p->linear < IMAGE_MIN)
            fail("the kernel is not linked above -2 GiB");
        if (p->linear < start)
            start = p->linear & ~(PAGE - 1);
        if (p->linear + p->memory_size > end)
            end = (p->linear + p->memory_size + PAGE - 1) & ~(PAGE - 1);
    }
    if (!dynamic || !is_movable(dynamic))
        fail("the kernel cannot be moved");
    slide = seed * 0x9e3779b97f4a7c15ull >> 36 & 0x1ffff000; /* below 512 MiB */
    linear_base = start + slide;
    physical_base = place(end - start, high, seed);
    memset((void *)physical_base, 0, end - start);
    for (uint32_t i = 0; i < elf->program_count; i++)
        if (program(i)->type == LOAD)
            memcpy(in_memory(program(i)->linear), kernel + program(i)->offset,
                   program(i)->file_size);
    relocate(dynamic);
    return end - start;
}

static void map_image(uint64_t *root)
{
    const struct elf *elf = (const struct elf *)kernel;

    for (uint32_t i = 0; i < elf->program_count; i++) {
        const struct program *p = program(i);
        uint64_t bits = (p->flags & WRITABLE ? WRITE : 0) | (p->flags & EXECUTE ? 0 : NX);

        if (p->type != LOAD)
            continue;
        for (uint64_t at = p->linear & ~(PAGE - 1); at < p->linear + p->memory_size; at += PAGE)
            map(root, at + slide, (uint64_t)in_memory(at), bits, 12);
    }
}

/* ---- requests ---- */

static const uint64_t magic[2] = {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b};
static const uint64_t base_revision[2] = {0xf9562b2d5c95a6c8, 0x6a7b384944536bdc};
#define REVISION 3

struct answer {
    uint64_t id[2];
    uint64_t words[3];
    uint32_t asked;
};

/* All answers are words behind the revision: pointers by the direct map, numbers, or both. */
static struct answer answers[] = {
    {{0xf55038d8e2a1202f, 0x279426fcf5f59740}, {0}, 0}, /* who loads */
    {{0x4b161536e598651e, 0xb390ad4a2f1f303a}, {0}, 0}, /* command line */
    {{0x48dcf1cb8ad2b852, 0x63984e959a98244b}, {0}, 0}, /* direct map */
    {{0x67cf3d9d378a806f, 0xe304acdfc50c3c62}, {0}, 0}, /* memory map */
    {{0x71ba76863cc55f63, 0xb2644a48c516a487}, {0}, 0}, /* where the image is */
    {{0xc5e77b6b397e7b43, 0x27637845accdcf3c}, {0}, 0}, /* RSDP */
};

static void answer_requests(uint64_t size)
{
    uint64_t *word = (uint64_t *)physical_base;

    for (uint64_t i = 0; i + 6 <= size / 8; i++) {
        if (word[i] == base_revision[0] && word[i + 1] == base_revision[1] &&
            word[i + 2] <= REVISION)
            word[i + 2] = 0;
        if (word[i] != magic[0] || word[i + 1] != magic[1])
            continue;
        for (uint32_t a = 0; a < sizeof(answers) / sizeof(answers[0]); a++) {
            struct answer *answer = &answers[a];
            uint64_t *to;

            if (word[i + 2] != answer->id[0] || word[i + 3] != answer->id[1])
                continue;
            if (answer->asked++)
                fail("a request is there twice");
            to = take(4 * sizeof(*to));
            memcpy(to + 1, answer->words, sizeof(answer->words));
            word[i + 5] = (uint64_t)to + direct_map;
        }
    }
}

/* ---- the whole ---- */

/* The number behind a word of the command line, or 1 if the word is there alone, or 0. */
static uint64_t option(const char *line, const char *word)
{
    for (; *line; line++) {
        const char *at = line, *want = word;
        uint64_t number = 0;

        while (*want && *at == *want) {
            at++;
            want++;
        }
        if (*want)
            continue;
        if (*at != '=')
            return 1;
        while (*++at >= '0' && *at <= '9')
            number = 10 * number + (uint64_t)(*at - '0');
        return number;
    }
    return 0;
}

static uint64_t text(const char *from)
{
    uint64_t length = 0;
    char *copy;

    while (from[length])
        length++;
    copy = take(length + 1);
    memcpy(copy, from, length);
    return (uint64_t)copy + direct_map;
}

void load(const struct start_info *info)
{
    const char *line = (const char *)info->command_line;
    uint64_t seed = option(line, "seed"), size, stack;
    /* The PAT: WB, WT, UC-, UC, WP, WC. */
    const uint32_t low = 0x00070406, high = 0x00070105;

    __asm__ volatile("wrmsr" : : "a"(low), "d"(high), "c"(0x277));
    direct_map = 0xffff800000000000ull + (seed * 0x2545f4914f6cdd1dull >> 54 << 30);
    read_map(info);
    size = load_image((int)option(line, "high"), seed);
    carve(physical_base, size, IMAGE);
    carve((uint64_t)loader_start, (uint64_t)(loader_end - loader_start), LOADERS);

    answers[0].words[0] = text("a loader of the tests");
    answers[0].words[1] = text("1");
    answers[1].words[0] = text(line);
    answers[2].words[0] = direct_map;
    sort();
    answers[3].words[0] = range_count;
    answers[3].words[1] = (uint64_t)range_list + direct_map;
    answers[4].words[0] = physical_base;
    answers[4].words[1] = linear_base;
    answers[5].words[0] = info->rsdp;
    answer_requests(size);
    stack = (uint64_t)take(65536) + 65536;

    map_memory(identity);
    map_image(identity);
    /* For the way there alone. */
    for (uint64_t at = 0; at < 16 * LARGE; at += LARGE)
        map(identity, at, at, WRITE, 21);

    say_number("# loader image 0x", linear_base);
    say_number(" at 0x", physical_base);
    say_number(" direct map 0x", direct_map);
    say("\r\n");
    leave((uint64_t)identity, direct_map, stack + direct_map,
          ((const struct elf *)kernel)->entry + slide);
}
