/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Console, events, ports, sharing of pages. */
#include <stddef.h>

#include "checks.h"
#include "cmos.h"
#include "frames.h"
#include "layout.h"
#include "string.h"
#include "threads.h"
#include "traps.h"

/* Where a PC's firmware shows its progress: a port that takes writes and does nothing else. */
#define POST_PORT 0x80

static void console_write(void)
{
    static const char line[] = "# the console takes a line whole\r\n";
    int32_t written = vmi_console_write(line, sizeof(line) - 1);

    if (written == VMI_EIO) {
        ktap_skip("this machine has no console");
        return;
    }
    EXPECT_EQUAL(written, sizeof(line) - 1);
    EXPECT_EQUAL(vmi_console_write(line, 0), 0);
}

static void console_read(void)
{
    char typed[16];

    NEEDS(CONSOLE_READ);
    int32_t length = vmi_console_read(typed, sizeof(typed));
    if (length == VMI_EIO && vmi_console_write(typed, 0) == VMI_EIO) {
        ktap_skip("this machine has no console");
        return;
    }
    EXPECT(length >= 0 && length <= (int32_t)sizeof(typed));
    EXPECT_EQUAL(vmi_console_read(typed, 0), 0);
}

static volatile uint32_t console_events;

static void note_console(struct trap_frame *frame)
{
    char typed[16];

    console_events++;
    while (vmi_console_read(typed, sizeof(typed)) > 0)
        ;
    vmi_end_of_interrupt(frame->vector);
}

static void console_event(void)
{
    NEEDS(EVENT_BIND);
    trap_handler_set(VECTOR_CONSOLE, note_console);
    int32_t event = vmi_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR_CONSOLE);
    if (event == VMI_EINVAL && vmi_console_write("", 0) == VMI_EIO) {
        ktap_skip("this machine has no console");
        return;
    }
    if (event == VMI_ENOSYS) {
        ktap_skip("this console raises no event");
        return;
    }
    EXPECT(event >= 0);
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)event), VMI_OK);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR_CONSOLE), VMI_EBUSY);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_CONSOLE, 0, 16), VMI_EINVAL);
}

static void ports(void)
{
    uint8_t bytes[4];

    NEEDS(INB);
    NEEDS(OUTB);
    if (cmos_absent()) {
        ktap_skip("this machine has no real-time clock");
        return;
    }
    vmi_outb(CMOS_SECONDS, CMOS_INDEX);
    EXPECT(vmi_inb(CMOS_DATA) <= 0x59);
    vmi_insb(CMOS_DATA, bytes, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        EXPECT(bytes[i] <= 0x59);
    vmi_outsb(POST_PORT, bytes, sizeof(bytes));
    vmi_outb(0, POST_PORT);
}

static void delay(void)
{
    NEEDS(IO_DELAY);
    vmi_io_delay();
}

static void shared_page(void)
{
    NEEDS(SHARE_PAGE);
    NEEDS(UNSHARE_PAGE);
    uint32_t pfn = frame_allocate_zeroed();
    EXPECT(pfn != FRAME_NONE);
    int32_t reference = vmi_share_page(pfn, 0, VMI_SHARE_READ);
    int32_t result = reference >= 0 ? vmi_unshare_page((uint32_t)reference) : reference;
    frame_release(pfn);
    if (reference == VMI_ENOSYS) {
        ktap_skip("nobody here takes a page");
        return;
    }
    EXPECT(reference >= 0);
    EXPECT_EQUAL(result, VMI_OK);
}

static void yield(void)
{
    uint64_t start = vmi_clock_nanoseconds();
    vmi_yield();
    EXPECT(vmi_clock_nanoseconds() >= start);
}

const struct check checks_devices[] = {
    {"console.write", console_write}, {"console.read", console_read},
    {"console.event", console_event}, {"ports.real_time_clock", ports},
    {"ports.delay", delay},           {"sharing.page", shared_page},
    {"hypervisor.yield", yield},      {NULL, NULL},
};
