/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The first device of a kind: what checks of disks, networks and sources of entropy do alike. */
#ifndef FIRST_DEVICE_H
#define FIRST_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

#include "ktap.h"
#include "traps.h"

struct first_device {
    uint32_t kind;    /* VMI_DEVICE_… */
    const char *name; /* of such a device */
    uint32_t requests,
        segments;    /* of a queue and of a request, at most; the device may have less */
    uint32_t queues; /* to open it with; 0: one */

    /* Filled in by the functions below. */
    bool found;
    uint32_t number;
    struct vmi_device_properties facts; /* as first_device_find() found them last */
    struct vmi_device_setup setup;      /* of the last opening */
    uint32_t memory, memory_pages;      /* frames of the rings, FRAME_NONE and 0 if none */
};

/* Finds the device, or looks at it again. False if there is none. */
bool first_device_find(struct first_device *device);

/*
 * Opens the device unless it is open, with its queues and memory that stays until it is given back.
 * VMI_OK, or the error that came.
 */
int32_t first_device_open(struct first_device *device);

/* Gives back the memory of a device that is closed; the number of frames. */
uint32_t first_device_give_back(struct first_device *device);

/* Is every setup refused that is just outside of the limits that the device tells? */
bool first_device_has_limits(const struct first_device *device);

/* Handler of a device's vector, and how often it has been called. */
void first_device_note(struct trap_frame *frame);
extern volatile uint32_t first_device_events;

/* The check needs a device, or one that is open. */
#define NEEDS_DEVICE(device)                                                                       \
    do {                                                                                           \
        NEEDS(DEVICE_INFO);                                                                        \
        if (!first_device_find(device)) {                                                          \
            ktap_skip("there is no %s", (device)->name);                                           \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define NEEDS_OPEN_DEVICE(device)                                                                  \
    do {                                                                                           \
        NEEDS_DEVICE(device);                                                                      \
        EXPECT_EQUAL(first_device_open(device), VMI_OK);                                           \
    } while (0)

/* The smaller of two limits. */
static inline uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

#endif
