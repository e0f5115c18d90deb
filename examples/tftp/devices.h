/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the kernel does alike with disks, networks and sources of entropy. */
#ifndef DEVICES_H
#define DEVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

/* Finds the next device of a kind (VMI_DEVICE_…) from number *device on. */
bool device_find(uint32_t kind, uint32_t *device, struct vmi_device_properties *facts);

/*
 * Opens a device, with memory that it takes for that, and has the events of so many queues end
 * waits. False if the device does not come up.
 */
bool device_open(uint32_t device, struct vmi_device_setup setup, uint32_t events);

#endif
