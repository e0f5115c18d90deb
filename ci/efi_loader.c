/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A program for UEFI firmware of x86-64 PCs that carries a multiboot2 kernel, unchanged, and starts
 * it (ci/efi.py). The command line and modules are named by the file vmi.cfg in the program's own
 * folder: its first line is the command line, each further one `FILE ARGUMENTS…` a module.
 *
 * Sources: UEFI Specification 2.10 (4.3, 4.4, 7.2, 7.4, 9.1, 13.4, 13.5, 12.9); Multiboot2
 * Specification 2.0, 3.1 and 3.6; System V ABI (ELF).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t status;
typedef void *handle;
typedef uint16_t wide; /* a character of UCS-2 */

#define SUCCESS    0
#define LOAD_ERROR (1ull << 63 | 1)

struct guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};

/* ---- the parts of UEFI's tables that are used ---- */

struct text_output {
    void *reset;
    status (*write)(struct text_output *self, const wide *text);
};

enum { ANY_PAGES, BELOW, AT }; /* kinds of allocation */

enum {
    LOADER_CODE = 1,
    LOADER_DATA = 2,
    BOOT_CODE = 3,
    BOOT_DATA = 4,
    CONVENTIONAL = 7,
    UNUSABLE = 8,
    ACPI_TABLES = 9,
    ACPI_NVS = 10,
};

struct memory {
    uint32_t kind, reserved;
    uint64_t start, linear, pages, attributes;
};

struct boot_services {
    uint8_t header[24];
    void *tpl[2];
    status (*allocate_pages)(uint32_t how, uint32_t kind, uint64_t pages, uint64_t *address);
    void *free_pages;
    status (*get_memory_map)(uint64_t *size, void *map, uint64_t *key, uint64_t *entry_size,
                             uint32_t *version);
    void *pool[2], *events[6], *install[3];
    status (*handle_protocol)(handle of, const struct guid *protocol, void **interface);
    void *locate[5], *images[4];
    status (*exit_boot_services)(handle image, uint64_t key);
    void *others[3], *controllers[2], *protocols[5];
    status (*locate_protocol)(const struct guid *protocol, void *registration, void **interface);
};

struct configuration {
    struct guid guid;
    void *table;
};

struct system_table {
    uint8_t header[24];
    void *vendor;
    uint64_t revision;
    void *input[3];
    struct text_output *output;
    void *error[2], *runtime;
    struct boot_services *boot;
    uint64_t tables_count;
    struct configuration *tables;
};

struct device_path {
    uint8_t kind, part;
    uint8_t length[2];
    wide text[];
};

#define PATH_MEDIA 4
#define PATH_FILE  4
#define PATH_END   0x7f

struct loaded_image {
    uint64_t revision;
    void *parent, *system;
    handle device;
    const struct device_path *path;
};

struct file {
    uint64_t revision;
    status (*open)(struct file *self, struct file **opened, const wide *name, uint64_t mode,
                   uint64_t attributes);
    status (*close)(struct file *self);
    void *remove;
    status (*read)(struct file *self, uint64_t *size, void *to);
    void *write;
    status (*get_position)(struct file *self, uint64_t *position);
    status (*set_position)(struct file *self, uint64_t position);
};

struct file_system {
    uint64_t revision;
    status (*open_volume)(struct file_system *self, struct file **root);
};

struct graphics_info {
    uint32_t version, width, height, format;
    uint32_t masks[4]; /* red, green, blue, reserved */
    uint32_t line_pixels;
};

enum { FORMAT_RGB, FORMAT_BGR, FORMAT_MASKS };

struct graphics {
    void *calls[3];
    struct {
        uint32_t count, current;
        const struct graphics_info *info;
        uint64_t info_size, base, size;
    } * mode;
};

static const struct guid
    loaded_image_guid = {0x5b1b31a1,
                         0x9562,
                         0x11d2,
                         {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}},
    file_system_guid = {0x964e5b22,
                        0x6459,
                        0x11d2,
                        {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}},
    graphics_guid = {0x9042a9de, 0x23dc, 0x4a38, {0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a}},
    acpi_guid = {0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}},
    acpi_old_guid = {0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};

/* ---- the kernel, and the way to it (efi_loader.S) ---- */

extern const uint8_t kernel[], kernel_end[];

/* What the trampoline needs; below 4 GiB, as all that it names. */
struct leap {
    uint32_t to, from, size; /* the image is copied there, for until now it may be the firmware's */
    uint32_t entry, magic, information;
};

extern const uint8_t trampoline[], trampoline_end[];

/* ---- small things ---- */

#define PAGE       4096u
#define BELOW_4GIB 0xffffffffull

static struct system_table *firmware;

void *memcpy(void *to, const void *from, size_t size)
{
    char *next = to;

    for (const char *byte = from; size; size--)
        *next++ = *byte++;
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    for (char *next = to; size; size--)
        *next++ = (char)byte;
    return to;
}

static bool same(const void *left, const void *right, size_t size)
{
    const char *one = left, *other = right;

    for (; size; size--)
        if (*one++ != *other++)
            return false;
    return true;
}

static status refuse(const wide *reason)
{
    firmware->output->write(firmware->output, L"vmi: cannot start the kernel: ");
    firmware->output->write(firmware->output, reason);
    firmware->output->write(firmware->output, L"\r\n");
    return LOAD_ERROR;
}

/* Pages below 4 GiB, zeroed; 0 if there are none. */
static void *pages_for(uint64_t size)
{
    uint64_t address = BELOW_4GIB, pages = (size + PAGE - 1) / PAGE;

    if (firmware->boot->allocate_pages(BELOW, LOADER_DATA, pages, &address) != SUCCESS)
        return 0;
    return memset((void *)address, 0, pages * PAGE);
}

/* ---- files beside the program ---- */

#define PATH_MAX 512

static struct file *root;
static wide folder[PATH_MAX]; /* with the last backslash */
static uint32_t folder_length;

static void find_folder(handle image)
{
    const struct device_path *node;
    struct loaded_image *loaded;
    struct file_system *system;
    uint32_t length = 0;

    if (firmware->boot->handle_protocol(image, &loaded_image_guid, (void **)&loaded) != SUCCESS ||
        firmware->boot->handle_protocol(loaded->device, &file_system_guid, (void **)&system) !=
            SUCCESS ||
        system->open_volume(system, &root) != SUCCESS)
        return;
    for (node = loaded->path; node && node->kind != PATH_END;
         node = (const void *)((const char *)node + (node->length[0] | node->length[1] << 8))) {
        uint32_t size = (uint32_t)(node->length[0] | node->length[1] << 8);

        if (size < sizeof(*node))
            return;
        if (node->kind != PATH_MEDIA || node->part != PATH_FILE)
            continue;
        for (uint32_t i = 0; i < (size - sizeof(*node)) / 2 && node->text[i]; i++) {
            if (length == PATH_MAX)
                return;
            folder[length++] = node->text[i];
            if (node->text[i] == '\\')
                folder_length = length;
        }
    }
}

/* Reads a file of a name that ends at a blank; 0 if there is none, or no room. */
static const char *read_file(const char *name, uint64_t *size)
{
    static wide path[PATH_MAX];
    uint32_t length = folder_length;
    struct file *file;
    char *place = 0;

    memcpy(path, folder, folder_length * sizeof(wide));
    for (; *name && *name != ' ' && length < PATH_MAX - 1; name++)
        path[length++] = *name == '/' ? '\\' : (wide)*name;
    path[length] = 0;
    if (!root || root->open(root, &file, path, 1, 0) != SUCCESS)
        return 0;
    if (file->set_position(file, UINT64_MAX) == SUCCESS &&
        file->get_position(file, size) == SUCCESS && file->set_position(file, 0) == SUCCESS)
        place = pages_for(*size + 1);
    if (place && file->read(file, size, place) != SUCCESS)
        place = 0;
    file->close(file);
    return place;
}

/* ---- multiboot2 information ---- */

#define MAGIC_HEADER 0xe85250d6u
#define MAGIC_LOADER 0x36d76289u
#define HEADER_END   32768u /* it begins before this */
#define HEADER_ENTRY 3

enum {
    TAG_COMMAND_LINE = 1,
    TAG_LOADER_NAME = 2,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_FRAMEBUFFER = 8,
    TAG_EFI_64 = 12,
    TAG_ACPI_OLD = 14,
    TAG_ACPI_NEW = 15,
};

#define INFORMATION_SIZE (64u << 10)

static uint8_t *information;
static uint32_t used = 8;

/* A tag with room for so many bytes behind its head; 0 if there is none. */
static void *add_tag(uint32_t kind, uint64_t size)
{
    uint32_t *tag = (uint32_t *)(information + used);

    if (size > INFORMATION_SIZE - used - 32)
        return 0;
    tag[0] = kind;
    tag[1] = (uint32_t)size + 8;
    used += (tag[1] + 7) & ~7u;
    return tag + 2;
}

static uint32_t length_of(const char *text, char end)
{
    uint32_t length = 0;

    while (text[length] && text[length] != end)
        length++;
    return length;
}

static bool add_text(uint32_t kind, const char *text, uint32_t length)
{
    char *to = add_tag(kind, length + 1);

    if (to)
        memcpy(to, text, length);
    return to;
}

/* A module's line. */
static const wide *add_module(const char *line, uint32_t length)
{
    uint32_t name = 0;
    uint64_t size = 0;
    const char *data = read_file(line, &size);
    uint32_t *to;

    while (name < length && line[name] != ' ')
        name++;
    while (name < length && line[name] == ' ')
        name++;
    if (!data)
        return L"a module that vmi.cfg names is not there";
    to = add_tag(TAG_MODULE, 8 + length - name + 1);
    if (!to)
        return L"vmi.cfg is too long";
    to[0] = (uint32_t)(uintptr_t)data;
    to[1] = (uint32_t)((uintptr_t)data + size);
    memcpy(to + 2, line + name, length - name);
    return 0;
}

/* What vmi.cfg says; none is none. */
static const wide *add_configuration(void)
{
    static char text[4096];
    uint64_t size;
    const char *data = read_file("vmi.cfg", &size);
    bool first = true;
    char *line = text;

    if (!data)
        return 0;
    if (size >= sizeof(text))
        return L"vmi.cfg is too long";
    memcpy(text, data, size);
    while (*line) {
        uint32_t length = length_of(line, '\n'), shown = length;
        bool last = !line[length];
        const wide *reason = 0;

        while (shown && (line[shown - 1] == '\r' || line[shown - 1] == ' '))
            shown--;
        line[shown] = 0;
        if (first)
            reason = add_text(TAG_COMMAND_LINE, line, shown) ? 0 : L"vmi.cfg is too long";
        else if (shown)
            reason = add_module(line, shown);
        if (reason)
            return reason;
        first = false;
        line += length + !last;
    }
    return 0;
}

static uint8_t lowest(uint32_t mask)
{
    return mask ? (uint8_t)__builtin_ctz(mask) : 0;
}

static void add_framebuffer(void)
{
    static const uint32_t of_format[2][3] = {{0xff, 0xff00, 0xff0000}, {0xff0000, 0xff00, 0xff}};
    const struct graphics_info *info;
    struct graphics *graphics;
    const uint32_t *masks;
    uint8_t *tag;
    uint32_t all = 0xff000000;

    if (firmware->boot->locate_protocol(&graphics_guid, 0, (void **)&graphics) != SUCCESS ||
        !graphics->mode || !(info = graphics->mode->info) || info->format > FORMAT_MASKS)
        return;
    masks = info->format == FORMAT_MASKS ? info->masks : of_format[info->format];
    if (info->format == FORMAT_MASKS)
        all = info->masks[0] | info->masks[1] | info->masks[2] | info->masks[3];
    tag = add_tag(TAG_FRAMEBUFFER, 30);
    if (!tag || !all)
        return;
    tag[20] = (uint8_t)((32 - __builtin_clz(all) + 7) / 8 * 8);
    memcpy(tag, &graphics->mode->base, 8);
    memcpy(tag + 8, &(uint32_t){info->line_pixels * (tag[20] / 8)}, 4);
    memcpy(tag + 12, &info->width, 4);
    memcpy(tag + 16, &info->height, 4);
    tag[21] = 1; /* pixels of red, green and blue */
    for (uint32_t i = 0; i < 3; i++) {
        tag[24 + 2 * i] = lowest(masks[i]);
        tag[25 + 2 * i] = (uint8_t)__builtin_popcount(masks[i]);
    }
}

static void add_acpi(void)
{
    for (uint64_t i = 0; i < firmware->tables_count; i++) {
        const struct configuration *table = &firmware->tables[i];
        bool new = same(&table->guid, &acpi_guid, sizeof(acpi_guid));
        void *tag;

        if (!new && !same(&table->guid, &acpi_old_guid, sizeof(acpi_old_guid)))
            continue;
        tag = add_tag(new ? TAG_ACPI_NEW : TAG_ACPI_OLD, new ? 36 : 20);
        if (tag)
            memcpy(tag, table->table, new ? 36 : 20);
    }
}

/* ---- the kernel's file ---- */

struct segment {
    uint64_t offset, address, size, memory_size;
};

/* Reads a program header; false if it is not to be loaded. */
static bool read_segment(const uint8_t *header, bool wide_file, struct segment *segment)
{
    uint32_t kind, narrow[8];

    memcpy(&kind, header, 4);
    if (kind != 1)
        return false;
    memcpy(narrow, header, sizeof(narrow));
    *segment = (struct segment){narrow[1], narrow[3], narrow[4], narrow[5]};
    if (wide_file) {
        memcpy(&segment->offset, header + 8, 8);
        memcpy(&segment->address, header + 24, 8);
        memcpy(&segment->size, header + 32, 8);
        memcpy(&segment->memory_size, header + 40, 8);
    }
    return segment->memory_size;
}

static struct segment segments[16];
static uint32_t segments_count;
static uint64_t image_start = UINT64_MAX, image_end;

/* Finds what is to be loaded; 0, or what is wrong. The file was looked at when it was taken in. */
static const wide *find_segments(void)
{
    uint64_t size = (uint64_t)(kernel_end - kernel), at;
    bool wide_file = kernel[4] == 2;
    uint32_t at_32;
    uint16_t entry, count;

    memcpy(&at_32, kernel + 28, 4);
    at = at_32;
    if (wide_file)
        memcpy(&at, kernel + 32, 8);
    memcpy(&entry, kernel + (wide_file ? 54 : 42), 2);
    memcpy(&count, kernel + (wide_file ? 56 : 44), 2);
    if (at > size || (uint64_t)entry * count > size - at || entry < (wide_file ? 56 : 32))
        return L"its program headers are not in the file";
    for (uint32_t i = 0; i < count; i++) {
        struct segment *segment = &segments[segments_count];

        if (!read_segment(kernel + at + i * entry, wide_file, segment))
            continue;
        if (segment->offset > size || segment->size > size - segment->offset ||
            segment->size > segment->memory_size || segment->address > BELOW_4GIB ||
            segment->memory_size > BELOW_4GIB - segment->address)
            return L"a segment is not in the file, or above 4 GiB";
        if (segment->address < image_start)
            image_start = segment->address & ~(uint64_t)(PAGE - 1);
        if (segment->address + segment->memory_size > image_end)
            image_end = segment->address + segment->memory_size;
        if (++segments_count == sizeof(segments) / sizeof(segments[0]))
            return L"it has too many segments";
    }
    return segments_count ? 0 : L"it has no segment to load";
}

/* The entry that its multiboot2 header names; 0 if there is none. */
static uint32_t find_entry(void)
{
    uint64_t end = (uint64_t)(kernel_end - kernel);

    if (end > HEADER_END)
        end = HEADER_END;
    for (uint64_t at = 0; at + 16 <= end; at += 8) {
        uint32_t head[4], tag[3];

        memcpy(head, kernel + at, sizeof(head));
        if (head[0] != MAGIC_HEADER || head[0] + head[1] + head[2] + head[3])
            continue;
        for (uint64_t next = at + 16; next + sizeof(tag) <= at + head[2] && next + 12 <= end;
             next += (tag[1] + 7) & ~7u) {
            memcpy(tag, kernel + next, sizeof(tag));
            if ((tag[0] & 0xffff) == HEADER_ENTRY)
                return tag[2];
            if (!tag[1])
                break;
        }
    }
    return 0;
}

/* A copy of the kernel as it is to lie in memory. */
static uint8_t *stage(void)
{
    uint8_t *copy;

    /* Keeps what is free there free of all that is still to be put somewhere. */
    for (uint64_t at = image_start; at < image_end; at += PAGE) {
        uint64_t page = at;

        firmware->boot->allocate_pages(AT, LOADER_DATA, 1, &page);
    }
    copy = pages_for(image_end - image_start);
    for (uint32_t i = 0; copy && i < segments_count; i++)
        memcpy(copy + (segments[i].address - image_start), kernel + segments[i].offset,
               segments[i].size);
    return copy;
}

/* ---- leaving the firmware ---- */

#define MAP_SIZE  (64u << 10)
#define MAP_ENTRY 24u /* bytes of an entry of multiboot2's; UEFI's are longer */

static uint32_t kind_for(uint32_t kind)
{
    switch (kind) {
    case LOADER_CODE:
    case LOADER_DATA:
    case BOOT_CODE:
    case BOOT_DATA:
    case CONVENTIONAL:
        return 1;
    case ACPI_TABLES:
        return 3;
    case ACPI_NVS:
        return 4;
    case UNUSABLE:
        return 5;
    }
    return 2;
}

/* Is the kernel's place memory that is its own once the firmware is left? */
static bool place_is_free(const uint8_t *map, uint64_t size, uint64_t entry_size)
{
    uint64_t covered = 0;

    for (uint64_t at = 0; at + entry_size <= size; at += entry_size) {
        struct memory memory;
        uint64_t first, last;

        memcpy(&memory, map + at, sizeof(memory));
        first = memory.start > image_start ? memory.start : image_start;
        last = memory.start + memory.pages * PAGE;
        if (last > image_end)
            last = image_end;
        if (kind_for(memory.kind) == 1 && first < last)
            covered += last - first;
    }
    return covered == image_end - image_start;
}

/* The map as multiboot2 has it, in the last tag, whose content is `to`. */
static void write_map(uint32_t *to, const uint8_t *map, uint64_t size, uint64_t entry_size)
{
    uint8_t *entry = (uint8_t *)(to + 2);

    to[0] = MAP_ENTRY;
    to[1] = 0;
    for (uint64_t at = 0; at + entry_size <= size; at += entry_size, entry += MAP_ENTRY) {
        struct memory memory;

        memcpy(&memory, map + at, sizeof(memory));
        memcpy(entry, &memory.start, 8);
        memcpy(entry + 8, &(uint64_t){memory.pages * PAGE}, 8);
        memcpy(entry + 16, &(uint64_t){kind_for(memory.kind)}, 8);
    }
    to[-1] = (uint32_t)(entry - (uint8_t *)to) + 8;
    used = (uint32_t)(entry - information);
    add_tag(0, 0);
}

static const wide *leave(handle image)
{
    uint64_t size, key, entry_size, tries;
    uint8_t *map = pages_for(MAP_SIZE);
    uint32_t version, *tag;

    tag = map ? add_tag(TAG_MEMORY_MAP, 8 + MAP_SIZE / sizeof(struct memory) * MAP_ENTRY) : 0;
    if (!tag)
        return L"there is no memory for the memory map";
    /* The map may change between the two calls; after a failure only they may be made (7.4.6). */
    for (tries = 0; tries < 8; tries++) {
        size = MAP_SIZE;
        if (firmware->boot->get_memory_map(&size, map, &key, &entry_size, &version) != SUCCESS ||
            entry_size < sizeof(struct memory))
            return L"the firmware gives no memory map";
        if (!place_is_free(map, size, entry_size))
            return L"the firmware keeps memory where the kernel is to lie";
        if (firmware->boot->exit_boot_services(image, key) == SUCCESS) {
            write_map(tag, map, size, entry_size);
            return 0;
        }
    }
    return L"the firmware cannot be left";
}

status efi_main(handle image, struct system_table *system)
{
    struct leap *leap;
    uint8_t *copy, *code;
    const wide *reason;
    uint32_t entry = find_entry();

    firmware = system;
    reason = entry ? find_segments() : L"it has no multiboot2 header with an entry";
    if (reason)
        return refuse(reason);
    copy = stage();
    information = pages_for(INFORMATION_SIZE);
    code = pages_for(sizeof(*leap) + (uint64_t)(trampoline_end - trampoline));
    if (!copy || !information || !code)
        return refuse(L"there is not enough memory below 4 GiB");
    leap = (struct leap *)code;
    code = memcpy(code + sizeof(*leap), trampoline, (size_t)(trampoline_end - trampoline));
    find_folder(image);
    reason = add_configuration();
    if (!reason)
        add_text(TAG_LOADER_NAME, "VMI's loader for UEFI", 21);
    if (!reason) {
        add_framebuffer();
        add_acpi();
        memcpy(add_tag(TAG_EFI_64, 8), &firmware, 8);
        reason = leave(image);
    }
    if (reason)
        return refuse(reason);
    memcpy(information, &used, 4);
    *leap = (struct leap){
        .to = (uint32_t)image_start,
        .from = (uint32_t)(uintptr_t)copy,
        .size = (uint32_t)(image_end - image_start),
        .entry = entry,
        .magic = MAGIC_LOADER,
        .information = (uint32_t)(uintptr_t)information,
    };
    ((void (*)(struct leap *))code)(leap);
    return LOAD_ERROR;
}
