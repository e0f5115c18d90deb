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

/*
 * Guest-physical memory as the reader may use it: `size` bytes from address 0 are readable at
 * `base`, but for what the image occupies.
 */
struct vmi__loader_view {
    const unsigned char *base;
    uint32_t size;
    uint32_t image_start, image_end;
};

/*
 * `count` entries of `size` bytes at a guest-physical address, or 0 if any of it is outside the
 * view or inside the image. Remembers what was read, for vmi__loader_finish.
 */
const void *vmi__loader_table(const struct vmi__loader_view *view, uint64_t address, uint32_t count,
                              uint32_t size);

/*
 * Copies a terminated string into the runtime's text buffer; *copy is "" for address 0. False if it
 * has no end.
 */
bool vmi__loader_string(const struct vmi__loader_view *view, uint64_t address, const char **copy);

/*
 * Takes one range of the loader's memory map; what is not of the BIOS's kinds is reserved. Returns
 * 0 or the reason.
 */
const char *vmi__loader_memory(uint64_t base, uint64_t size, uint32_t kind);

/* Takes a module; `line` is the address of its command line. Returns 0 or the reason to refuse. */
const char *vmi__loader_module(const struct vmi__loader_view *view, uint64_t base, uint64_t size,
                               uint64_t line);

/*
 * Take the structures of one protocol apart into vmi__boot and the memory map (not yet published),
 * the command line first so that its options hold for a refusal as well. Return 0 or the reason to
 * refuse.
 */
const char *vmi__multiboot_read(const struct vmi__loader_view *view, uint32_t magic, uint32_t info);
const char *vmi__pvh_read(const struct vmi__loader_view *view, uint32_t info);

/*
 * After one of them: claims the image, the modules and the firmware's first page, publishes the map
 * and checks that image, modules and room to work are usable memory, and that nothing was read
 * where there is no memory. Returns 0 or the reason to refuse.
 */
const char *vmi__loader_finish(const struct vmi__loader_view *view);

#endif
