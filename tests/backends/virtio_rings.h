/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Rings of virtio as a played device reads and writes them: by the standard itself
 * (VIRTIO 1.2, 2.7), not by what the driver has of it.
 */
#ifndef VMI_TESTS_BACKENDS_VIRTIO_RINGS_H
#define VMI_TESTS_BACKENDS_VIRTIO_RINGS_H

#include <stdint.h>

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
struct available {
    uint16_t flags, index, ring[];
};
struct used {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } ring[];
};

#endif
