/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The life of one device and of a kernel that has it, for fuzz targets whose device a program of
 * checks plays: an input says what the device is, and then what both do, in turn. Whatever the
 * device says: each request ends once, a device that is shut off has a reason and reaches nothing,
 * no lock is left held, and nothing is accessed that is not the library's.
 *
 * A target has before it includes this the program of checks, and disk.h or network.h, by which the
 * kernel gives the device something; and of itself what is declared here.
 */
#ifndef VMI_TESTS_FUZZ_LIFE_H
#define VMI_TESTS_FUZZ_LIFE_H

#include <sanitizer/asan_interface.h>

/* ---- the target's ---- */

/* A sound device that nobody has looked at, of any kind that it can be. */
static void plug_it(void);

/* Memory that the device shares with its driver, or some of it; 0: there is none by now. */
static uint8_t *shown(uint32_t *bytes);

/* Does what it should with the next of what it was given, one way or the other. */
static void do_next(uint32_t way);

/* Says something of what it was given. */
static void lie_of_a_request(void);

/* Says something of itself, in registers or elsewhere. */
static void lie_of_the_device(void);

/* What the machine has done by an interrupt. */
static void interrupt(struct vmi__device *device);

/* Can it do nothing more to the kernel's memory? */
static bool reaches_nothing(void);

/* Lets go of all that it has; before its end. */
static void release_all(void);

/* ---- the device ---- */

static uint32_t memory_given; /* bytes, 0: none */

/* Writes to memory that it shares with its driver. */
static void write_memory(uint32_t bytes)
{
    uint32_t value = bytes == 4 ? random() : next8(), at = next16(), room = 0;
    uint8_t *memory = shown(&room);

    if (memory && room >= bytes)
        memcpy(memory + at % (room - bytes + 1) / bytes * bytes, &value, bytes);
}

static void lie_of_anything(void)
{
    switch (next8() % 4) {
    case 0:
        lie_of_a_request();
        break;
    case 1:
        lie_of_the_device();
        break;
    case 2:
        write_memory(1);
        break;
    default:
        write_memory(4);
    }
}

/* While its driver waits; `otherwise` is what it does then if it is sound. */
static void (*otherwise)(void);
static bool lies_meanwhile;

static void while_its_driver_waits(void)
{
    if (lies_meanwhile && next8() & 1)
        lie_of_anything();
    if (otherwise)
        otherwise();
}

/* ---- the kernel ---- */

static void look_at_it(void)
{
    struct vmi_device_properties info;

    if (vmi__device_info(0, &info) != VMI_OK)
        return;
    is_sound(&info);
    if (info.kind == VMI_DEVICE_BLOCK) {
        HOLDS(info.blocks && info.request_blocks);
        HOLDS(info.block_size >= 512 && !(info.block_size & (info.block_size - 1)));
    } else {
        HOLDS(info.mtu && !(info.address[0] & 1));
    }
}

static void open_the_device(void)
{
    struct vmi_device_setup setup = {.queues = 1,
                                     .requests = 1 + next8() % 16,
                                     .segments = 1 + next8() % 4,
                                     .memory = (uintptr_t)memory_of_device};
    struct vmi_device_memory needs;

    if (!count || devices[0].state != VMI__DEVICE_CLOSED ||
        vmi__device_needs(0, &setup, &needs) != VMI_OK || needs.size > sizeof(memory_of_device))
        return;
    memory_given = (uint32_t)needs.size;
    ASAN_UNPOISON_MEMORY_REGION(memory_of_device, needs.size);
    ASAN_POISON_MEMORY_REGION(memory_of_device + needs.size, sizeof(memory_of_device) - needs.size);
    vmi__device_open(0, &setup);
}

static int32_t close_it(void)
{
    return close_and_reap(0, reapers, COUNT(reapers), 1);
}

static void step(void)
{
    uint32_t what = next8(), way = what >> 4 & 1, state = devices[0].state, at;

    switch (what % 16) {
    case 0:
    case 1:
        give_something(what == 0xf0, what == 0xe0, way);
        break;
    case 2:
    case 3:
    case 4:
        do_next(way);
        break;
    case 5:
    case 6:
        lie_of_a_request();
        break;
    case 7:
    case 8:
        write_memory(what % 16 == 7 ? 1 : 4);
        break;
    case 9:
    case 10:
        at = next8();
        reap_with(reapers[way % COUNT(reapers)], at == 0xff, at == 0xfe, at % 16);
        break;
    case 11:
        open_the_device();
        break;
    case 12:
        close_it();
        break;
    case 13:
        lie_of_the_device();
        break;
    case 14:
        look_at_it();
        break;
    default:
        if (count && devices[0].state == VMI__DEVICE_OPEN)
            interrupt(&devices[0]);
    }
    HOLDS(!locks);
    if (devices[0].state == VMI__DEVICE_SHUT_OFF) {
        HOLDS(devices[0].info.fault);
        HOLDS(state == VMI__DEVICE_SHUT_OFF || reaches_nothing());
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size;
    forget_requests();
    memory_given = 0;
    locks = 0;
    vmi__boot.linear_pages = UINT32_MAX / PAGE;
    lies_meanwhile = false;
    plug_it();
    for (uint32_t lies = next8() % 8; lies > 4; lies--)
        lie_of_the_device();
    lies_meanwhile = next8() & 1;
    look_at_it();
    while (left && count)
        step();
    release_all();
    if (count && devices[0].state != VMI__DEVICE_CLOSED)
        HOLDS(close_it() == VMI_OK && devices[0].state == VMI__DEVICE_CLOSED);
    HOLDS(!locks && (!count || reaches_nothing()));
    nothing_is_pending();
    return 0;
}

#endif
