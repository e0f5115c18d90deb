/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Virtio devices that are reached by memory (virtio/virtio_mmio.c), for whichever drivers of virtio
 * the library has.
 */
#include "driver.h"
#include "runtime.h"
#include "virtio/device.h"

#define TYPE_NONE 0u /* nothing is behind the registers */

/* The driver of a type of device that the library has, 0 if it has none. */
static VMI__RUN_ONCE const struct vmi__driver *driver_of(uint32_t type)
{
    for (uint32_t i = 0; vmi__drivers[i]; i++) {
        const struct vmi__virtio_kind *kind = vmi__drivers[i]->family;

        if (vmi__drivers[i]->find == vmi__virtio_find && kind->type == type)
            return vmi__drivers[i];
    }
    return 0;
}

static VMI__RUN_ONCE void add(const struct vmi__virtio_mmio *found)
{
    const struct vmi__driver *driver = found->type == TYPE_NONE ? 0 : driver_of(found->type);
    struct vmi__device *device = driver ? vmi__device_add(driver, found->base) : 0;

    if (!device)
        return;
    device->line = found->line;
    vmi__virtio_on_mmio(vmi__virtio_of(device), found);
    if (vmi__virtio_look(device)) {
        char where[9];

        for (uint32_t i = 0; i < 8; i++)
            where[i] = "0123456789abcdef"[found->base >> (28 - 4 * i) & 15];
        where[8] = 0;
        vmi__device_name(device, "mmio", where);
        vmi__device_keep(device);
    }
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    const char *from = vmi__boot.command_line, *wrong;
    struct vmi__virtio_mmio found;

    (void)driver;
    while (vmi__virtio_mmio_next(&from, &found, &wrong)) {
        if (wrong) {
            vmi__print("vmi: option " VMI__VIRTIO_MMIO_OPTION "=: ");
            vmi__print(wrong);
            vmi__print("\r\n");
        } else {
            add(&found);
        }
    }
}

const struct vmi__driver vmi__driver_virtio_mmio;
const struct vmi__driver vmi__driver_virtio_mmio = {
    .name = "virtio-mmio",
    .find = find,
};
