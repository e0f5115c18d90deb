/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The interface for devices (devices/interface.c) as a part of a Linux process, above a driver
 * whose device the process plays: the platform below it, memory, and numbers that follow from a
 * seed.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_INTERFACE_H
#define VMI_TESTS_DEVICES_PLAYED_INTERFACE_H

/* The interface's own names stay out of the way of played.h's, and of the memory map's. */
#define reset       interface_reset
#define end         interface_end
#define append      interface_append
#define whole_pages interface_whole_pages
#include "interface.c"
#undef reset
#undef end
#undef append
#undef whole_pages
#include "memory_map.c" /* runtime/ */

#if !__STDC_HOSTED__
#include "string.c" /* runtime/ */
#endif

#include "backends/played.h"
#include "devices/played_seeds.h"

struct vmi_boot_info vmi__boot;
int32_t (*vmi__entropy_of_devices)(uint32_t source, uint8_t *to, uint32_t size);

/* ---- the platform ---- */

static uint32_t locks;   /* that are held */
static uint32_t unbound; /* how often events were */

void vmi__platform_init(void)
{
}

uint32_t vmi__platform_enter(volatile uint32_t *held)
{
    ALWAYS(!*held);
    *held = 1;
    locks++;
    return 0;
}

void vmi__platform_leave(volatile uint32_t *held, uint32_t flags)
{
    (void)flags;
    *held = 0;
    locks--;
}

/* The devices that are played have no ports. */
uint32_t vmi__platform_port_read(uint16_t port, uint32_t bytes)
{
    (void)port;
    (void)bytes;
    ALWAYS(false);
    return 0;
}

void vmi__platform_port_write(uint16_t port, uint32_t value, uint32_t bytes)
{
    (void)port;
    (void)value;
    (void)bytes;
    ALWAYS(false);
}

void vmi__platform_unbind(uint32_t device)
{
    ALWAYS(device < count);
    unbound++;
}

/* ---- a device ---- */

/* Nobody has looked for devices. */
static void forget_devices(void)
{
    memset(devices, 0, sizeof(devices));
    count = unbound = 0;
    found = false;
}

/* What DeviceInfo says of the first one. */
static struct vmi_device_properties info_of_first(void)
{
    struct vmi_device_properties info = {0};

    EXPECT(vmi__device_info(0, &info) == VMI_OK);
    return info;
}

static uint8_t memory_of_device[0x10000] __attribute__((aligned(4096)));

/* Opens it with memory of the process. */
static int32_t open_first(struct vmi_device_setup setup)
{
    struct vmi_device_memory needs;

    setup.memory = (uintptr_t)memory_of_device;
    vmi__boot.linear_pages = ((uintptr_t)memory_of_device + sizeof(memory_of_device)) / PAGE;
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK);
    EXPECT(needs.size <= sizeof(memory_of_device));
    return vmi__device_open(0, &setup);
}

#endif
