/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a PC loader leaves in memory, read with suspicion. Nothing of it is used before it has been
 * copied into the runtime's own buffers, and nothing is read that lies outside the view.
 */
#ifndef VMI_RUNTIME_LOADER_H
#define VMI_RUNTIME_LOADER_H

#include "runtime.h"

#define VMI__MODULES_MAX 16   /* modules that are passed on at most */
#define VMI__TEXT_MAX    8192 /* bytes of all strings together, terminators included */

/* Bytes of a list: a loader that says more says nonsense. */
#define VMI__LIST_MAX (1u << 24)

/*
 * Guest-physical memory as the reader may use it: `size` bytes from address 0 are readable at
 * `base`, but for what the image occupies. What lies above is read through `borrow`, which makes so
 * many bytes readable until the next call, or returns 0; without it nothing is read there.
 */
struct vmi__loader_view {
    const unsigned char *base;
    uint64_t size;
    uint64_t image_start, image_end;
    uint32_t bits; /* of the processor's guest-physical addresses, below 64; 0 if it is no matter */
    const void *(*borrow)(uint64_t address, uint32_t size);
};

/*
 * Whether `count` entries of `size` bytes at a guest-physical address may be read; false if any of
 * it is outside memory or inside the image. No entries may be anywhere. Remembers them for
 * vmi__loader_finish.
 */
bool vmi__loader_has(const struct vmi__loader_view *view, uint64_t address, uint32_t count,
                     uint32_t size);

/* Copies what vmi__loader_has has allowed; false if it cannot be reached. */
bool vmi__loader_copy(const struct vmi__loader_view *view, uint64_t address, void *to,
                      uint32_t size);

/*
 * Copies a terminated string into the runtime's text buffer; *copy is "" for address 0. False if it
 * has no end.
 */
bool vmi__loader_string(const struct vmi__loader_view *view, uint64_t address, const char **copy);

/* One range of a loader's memory map. */
struct vmi__loader_range {
    uint64_t base, size;
    uint32_t kind;
};

/* A loader's memory map: bytes at an address, and how its protocol writes an entry. */
struct vmi__loader_map {
    uint64_t address;
    uint32_t length;
    bool own; /* kinds are VMI_MEMORY_…, for it is the kernel's */
    /* Reads the entry at *offset, which moves on. Returns 0 or the reason to refuse. */
    const char *(*next)(const struct vmi__loader_view *view, const struct vmi__loader_map *map,
                        uint32_t *offset, struct vmi__loader_range *range);
};

/*
 * Takes a memory map of any length; kinds that are not of the BIOS's are reserved. After the
 * modules, for a long map's tables are put into memory that nobody has. Returns 0 or the reason to
 * refuse.
 */
VMI__RUN_ONCE const char *vmi__loader_memory(const struct vmi__loader_view *view,
                                             const struct vmi__loader_map *map);

/*
 * Takes a module; `line` is the address of its command line, or that line as it was copied. Return
 * 0 or the reason to refuse.
 */
VMI__RUN_ONCE const char *vmi__loader_module(const struct vmi__loader_view *view, uint64_t base,
                                             uint64_t size, uint64_t line);
VMI__RUN_ONCE const char *vmi__loader_take_module(const struct vmi__loader_view *view,
                                                  uint64_t base, uint64_t size, const char *line);

/* Lowest bit and number of bits of red, green and blue, as both versions of multiboot have them. */
#define VMI__COLORS 6

/*
 * Takes what a loader says of the screen, `color` being its kind as multiboot numbers them; what is
 * not sound, or is of a kind that VMI_COLOR_ does not name, is as if it were not said.
 */
VMI__RUN_ONCE void vmi__loader_framebuffer(const struct vmi_framebuffer *found,
                                           const uint8_t colors[VMI__COLORS]);

/*
 * Take the structures of one protocol apart into vmi__boot and the memory map (not yet published),
 * the command line first so that its options hold for a refusal as well. Return 0 or the reason to
 * refuse.
 */
VMI__RUN_ONCE const char *vmi__multiboot_read(const struct vmi__loader_view *view, uint32_t magic,
                                              uint32_t info);
VMI__RUN_ONCE const char *vmi__multiboot2_read(const struct vmi__loader_view *view, uint32_t magic,
                                               uint32_t info);
VMI__RUN_ONCE const char *vmi__pvh_read(const struct vmi__loader_view *view, uint32_t info);

/*
 * After one of them: claims the image, the modules and the firmware's first page, publishes the map
 * and checks that image and modules lie in memory, be it marked as taken, that there is room to
 * work, and that nothing was read where there is no memory. Forgets a screen that would lie in
 * memory, and a system table of UEFI that is none. Returns 0 or the reason to refuse.
 */
VMI__RUN_ONCE const char *vmi__loader_finish(const struct vmi__loader_view *view);

/* All of it for one protocol, VMI_BOOT_…. Returns 0 or the reason to refuse. */
const char *vmi__loader_read(const struct vmi__loader_view *view, uint32_t protocol, uint32_t magic,
                             uint32_t info);

#endif
