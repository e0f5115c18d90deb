/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * ACPI's power button as a Linux process: this file plays the PM1 registers, of which the status is
 * cleared by writing ones (ACPI 6.5, 4.8.3.1).
 */
#include "native/native.h"

static uint16_t port_read(uint16_t port);
static void port_write(uint16_t port, uint16_t value);
static uint64_t tsc(void);
#define vmi__inw          port_read
#define vmi__outw         port_write
#define vmi__rdtsc        tsc
#define vmi__lock(lock)   (*(lock) = (struct vmi__lock){0}, 0)
#define vmi__unlock(l, f) ((void)(l), (void)(f))

#include "native/button.c"

#include "backends/played.h"

#define STATUS_A 0x600
#define STATUS_B 0x700
#define ENABLE   2
#define OTHERS   0x0021 /* the timer's bits, and another */
#define HZ       1000u

struct vmi__native_acpi vmi__native_acpi;
uint64_t vmi__native_tsc_hz = HZ;
const struct vmi__native_published *vmi__native_published;

static uint16_t status[2], enables[2];
static uint32_t reads, acpi_on, ended;
static uint64_t now;

static uint16_t port_read(uint16_t port)
{
    reads++;
    EXPECT(port == STATUS_A || port == STATUS_B);
    return status[port == STATUS_B];
}

static void port_write(uint16_t port, uint16_t value)
{
    uint32_t block = port >= STATUS_B;

    EXPECT(acpi_on);
    port = (uint16_t)(port - (block ? STATUS_B : STATUS_A));
    EXPECT(port == 0 || port == ENABLE);
    if (port)
        enables[block] = value;
    else
        status[block] = status[block] & (uint16_t)~value;
}

static uint64_t tsc(void)
{
    return now;
}

void vmi__native_acpi_enable(void)
{
    acpi_on++;
}

void vmi__request_default(uint32_t request)
{
    EXPECT(request == VMI_REQUEST_POWER_OFF);
    ended++;
}

/* A machine that was switched on by its button, with what firmware has left enabled. */
static void begin(void)
{
    vmi__native_acpi =
        (struct vmi__native_acpi){.event_a = STATUS_A, .event_b = STATUS_B, .event_enable = ENABLE};
    watched = pressed = enabled = left = false;
    looked = 0;
    now = 10 * HZ;
    reads = acpi_on = ended = 0;
    status[0] = status[1] = POWER_BUTTON | OTHERS;
    enables[0] = enables[1] = OTHERS;
}

static void how_it_was_switched_on_is_no_request(void)
{
    begin();
    vmi__native_button_watch(true);
    EXPECT(vmi__native_take_request() == VMI_REQUEST_NONE);
    EXPECT(enables[0] == POWER_BUTTON && enables[1] == POWER_BUTTON);
    /* Nothing else is touched. */
    EXPECT(status[0] == OTHERS && status[1] == OTHERS);
    begin();
    vmi__native_button_unwatched();
    EXPECT(!ended && enables[0] == POWER_BUTTON);
}

static void each_press_is_told_once(void)
{
    for (uint32_t block = 0; block < 2; block++) {
        begin();
        vmi__native_button_watch(true);
        status[block] |= POWER_BUTTON;
        EXPECT(vmi__native_take_request() == VMI_REQUEST_POWER_OFF);
        EXPECT(status[block] == OTHERS);
        EXPECT(vmi__native_take_request() == VMI_REQUEST_NONE);
        /* The end of its interrupt lowers it, and keeps it. */
        status[block] |= POWER_BUTTON;
        vmi__native_button_look();
        EXPECT(status[block] == OTHERS);
        EXPECT(vmi__native_take_request() == VMI_REQUEST_POWER_OFF);
        EXPECT(!ended);
    }
}

static void unwatched_it_is_looked_at_now_and_then(void)
{
    begin();
    vmi__native_button_unwatched();
    EXPECT(acpi_on == 1 && reads == 2);
    status[0] |= POWER_BUTTON;
    for (uint32_t i = 0; i < HZ / 4 - 1; i++, now++)
        vmi__native_button_unwatched();
    EXPECT(reads == 2 && !ended);
    now += 2;
    vmi__native_button_unwatched();
    EXPECT(reads == 4 && ended == 1);
    /* On another machine, whose TSC has less behind it. */
    now = 5;
    vmi__native_button_unwatched();
    EXPECT(reads == 6 && acpi_on == 1);
}

static void what_is_pressed_before_it_is_watched_is_kept(void)
{
    begin();
    vmi__native_button_unwatched();
    status[0] |= POWER_BUTTON;
    vmi__native_button_watch(true);
    EXPECT(vmi__native_take_request() == VMI_REQUEST_POWER_OFF && !ended);
    vmi__native_button_watch(false);
    EXPECT(!enables[0] && vmi__native_take_request() == VMI_REQUEST_NONE);
    vmi__native_button_unwatched();
    EXPECT(enables[0] == POWER_BUTTON);
}

static void it_is_let_alone_where_it_is_anothers(void)
{
    begin();
    vmi__native_button_leave();
    vmi__native_button_unwatched();
    EXPECT(!reads && !acpi_on);
    begin();
    vmi__native_acpi.event_a = 0;
    vmi__native_button_unwatched();
    EXPECT(!reads && !acpi_on);
    EXPECT(vmi__native_take_request() == VMI_REQUEST_NONE);
    /* A client of the published API has its ports to itself. */
    begin();
    vmi__native_published = (const struct vmi__native_published *)&status;
    vmi__native_button_unwatched();
    vmi__native_published = 0;
    EXPECT(!reads && !acpi_on);
}

static const struct played_check checks[] = {
    CHECK(how_it_was_switched_on_is_no_request),
    CHECK(each_press_is_told_once),
    CHECK(unwatched_it_is_looked_at_now_and_then),
    CHECK(what_is_pressed_before_it_is_watched_is_kept),
    CHECK(it_is_let_alone_where_it_is_anothers),
};

PLAY(checks)
