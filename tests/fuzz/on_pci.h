/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What fuzz targets share whose device is on PCI, around what life.h has. A target has before it
 * includes this the program of checks, and of itself what is declared here.
 *
 * Time is short: what a driver waits for comes within a hundred looks, or does not.
 */
#ifndef VMI_TESTS_FUZZ_ON_PCI_H
#define VMI_TESTS_FUZZ_ON_PCI_H

#include "life.h"

/* A sound device, of a model that it can be. */
static void plug_model_of_it(void);

/* Bytes of the device's memory of which the driver reads what the device has written. */
static uint32_t read_back(void);

/* The memory of the library's in which a driver looks at the device; 0: none by now. */
static uint64_t looked_in(uint32_t *bytes);

static bool is_within(uint64_t address, uint32_t bytes, uint64_t from, uint32_t room)
{
    return address >= from && address - from <= room && bytes <= room - (address - from);
}

static inline void *memory_at(uint64_t address, uint32_t bytes)
{
    static uint8_t nowhere[PAGE] __attribute__((aligned(8)));
    uint32_t room = 0;
    uint64_t from = looked_in(&room);

    HOLDS(bytes <= sizeof(nowhere));
    /* All that has parts is aligned. */
    if (address % (bytes < 8 ? bytes : 8))
        return nowhere;
    if (is_within(address, bytes, (uintptr_t)memory_of_device, memory_given) ||
        (from && is_within(address, bytes, from, room)))
        return (void *)(uintptr_t)address;
    return nowhere;
}

/* ---- in place of the drivers' own, for the linker (--wrap) ---- */

bool __real_vmi__wait_for(const volatile uint32_t *at, uint32_t mask, uint32_t value,
                          uint32_t milliseconds);
bool __wrap_vmi__wait_for(const volatile uint32_t *at, uint32_t mask, uint32_t value,
                          uint32_t milliseconds);
bool __wrap_vmi__wait_for(const volatile uint32_t *at, uint32_t mask, uint32_t value,
                          uint32_t milliseconds)
{
    return __real_vmi__wait_for(at, mask, value, milliseconds ? 1 : 0);
}

/* ---- what is the same for all of them ---- */

static uint8_t *shown(uint32_t *bytes)
{
    *bytes = memory_given ? read_back() : 0;
    HOLDS(*bytes <= memory_given);
    return memory_of_device;
}

static void write_register(const uint16_t *registers, uint32_t number)
{
    uint32_t which = next8();

    set(which & 0x80 ? TABLE + (which & 0x3c) : registers[which % number], random());
}

/* Writes to its configuration space; its command register is the driver's alone. */
static void write_configuration(void)
{
    uint32_t at = next8() % 64, value = random();

    if (at == PCI_COMMAND / 4)
        value = (value & 0xffff0000u) | (space[at] & 0xffff);
    space[at] = next8() & 1 ? value : space[at] ^ value;
}

static void interrupt(struct vmi__device *device)
{
    uint32_t what = next8(), queue = what / 8 % device->opened;

    interrupt_on_pci(device, queue, what);
}

static bool reaches_nothing(void)
{
    return !(space[1] & COMMAND_MASTER);
}

static void release_all(void)
{
}

static void plug_it(void)
{
    uint32_t messages;

    while_waiting = 0;
    plug_model_of_it();
    messages = next8() % 6;
    if (messages)
        plug_messages(messages);
    otherwise = while_waiting;
    while_waiting = while_its_driver_waits;
}

#endif
