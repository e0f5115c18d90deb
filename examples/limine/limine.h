/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What this example needs of the Limine boot protocol (limine-protocol, PROTOCOL.md): requests that
 * lie in the image, found by their numbers, and the loader's answers.
 */
#ifndef LIMINE_H
#define LIMINE_H

#include <stdint.h>

#define LIMINE_MAGIC         0xc7b1dd30df4c8b88, 0x0a82e883a194f07b
#define LIMINE_BASE_REVISION 0xf9562b2d5c95a6c8, 0x6a7b384944536bdc
#define LIMINE_START         0xf6b8f4b39de7d1ae, 0xfab91a6940fcb9cf, 0x785c6ed015d3e316, 0x181e920a7852b9d9
#define LIMINE_END           0xadc0e0531bb10d03, 0x9572709f31764c62

#define LIMINE_LOADER                                                                              \
    {                                                                                              \
        LIMINE_MAGIC, 0xf55038d8e2a1202f, 0x279426fcf5f59740                                       \
    }
#define LIMINE_COMMAND_LINE                                                                        \
    {                                                                                              \
        LIMINE_MAGIC, 0x4b161536e598651e, 0xb390ad4a2f1f303a                                       \
    }
#define LIMINE_DIRECT_MAP                                                                          \
    {                                                                                              \
        LIMINE_MAGIC, 0x48dcf1cb8ad2b852, 0x63984e959a98244b                                       \
    }
#define LIMINE_MEMORY_MAP                                                                          \
    {                                                                                              \
        LIMINE_MAGIC, 0x67cf3d9d378a806f, 0xe304acdfc50c3c62                                       \
    }
#define LIMINE_ADDRESS                                                                             \
    {                                                                                              \
        LIMINE_MAGIC, 0x71ba76863cc55f63, 0xb2644a48c516a487                                       \
    }
#define LIMINE_RSDP                                                                                \
    {                                                                                              \
        LIMINE_MAGIC, 0xc5e77b6b397e7b43, 0x27637845accdcf3c                                       \
    }

/* A request; the loader stores where its answer is, or leaves 0. */
struct limine_request {
    uint64_t id[4];
    uint64_t revision;
    const void *volatile response;
};

struct limine_loader {
    uint64_t revision;
    const char *name, *version;
};

struct limine_command_line {
    uint64_t revision;
    const char *text;
};

struct limine_direct_map {
    uint64_t revision;
    uint64_t offset;
};

struct limine_address {
    uint64_t revision;
    uint64_t physical, linear;
};

/* From base revision 3 on the address is a physical one. */
struct limine_rsdp {
    uint64_t revision;
    uint64_t address;
};

enum {
    LIMINE_USABLE,
    LIMINE_RESERVED,
    LIMINE_ACPI,
    LIMINE_NVS,
    LIMINE_BAD,
    LIMINE_LOADERS, /* the kernel's, once it has left what the loader made */
    LIMINE_IMAGE,   /* the kernel and its modules */
    LIMINE_FRAMEBUFFER,
};

struct limine_range {
    uint64_t base, size, kind;
};

struct limine_memory_map {
    uint64_t revision;
    uint64_t count;
    const struct limine_range *const *ranges;
};

#endif
