/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's ends of the machine as a Linux process: this file plays a machine whose
 * ways to end take no effect at once, as an emulator's do, which ends a moment after it was asked.
 */
#include "native/native.h"

static uint8_t port_read(uint16_t port);
static uint16_t port_read_word(uint16_t port);
static void port_write(uint16_t port, uint32_t value);
static uint32_t nothing_to_mask(void);
static struct vmi__cpuid played_cpuid(uint32_t leaf, uint32_t subleaf);
static void *back[5];
#define vmi__inb               port_read
#define vmi__inw               port_read_word
#define vmi__outb(port, value) port_write(port, value)
#define vmi__outw(port, value) port_write(port, value)
#define vmi__pause()           ((void)0)
#define vmi__irq_save          nothing_to_mask
#define vmi__cpuid(leaf, sub)  played_cpuid(leaf, sub)
#define vmi__stop()            __builtin_longjmp(back, 1)

#include "native/shutdown.c"

#include "backends/played.h"

#define DEBUG_EXIT 0xf4
#define CONTROL    0x604
#define PATIENCE   200000 /* reads of a port, or microseconds */

struct vmi_boot_info vmi__boot;
struct vmi__native_acpi vmi__native_acpi;
uint64_t vmi__native_tsc_hz;
const struct vmi__native_published *vmi__native_published;

static bool hypervisor;                     /* whether there is one below */
static uint8_t events;                      /* of a pvpanic device; 0xff: there is none */
static uint32_t told;                       /* how often it was told of a panic */
static uint16_t asked;                      /* the port by which the machine was told to end */
static uint32_t waited, hasty, said, after; /* hasty: something was done too early after that */

static void done(void)
{
    if (asked && waited < PATIENCE)
        hasty++;
}

static uint16_t port_read_word(uint16_t port)
{
    if (asked)
        waited++;
    return port == CONTROL ? CONTROL_SCI_ENABLE : 0;
}

static uint8_t port_read(uint16_t port)
{
    if (port == PVPANIC)
        return events;
    return (uint8_t)port_read_word(port);
}

static uint32_t nothing_to_mask(void)
{
    return 0;
}

static struct vmi__cpuid played_cpuid(uint32_t leaf, uint32_t subleaf)
{
    EXPECT(leaf == 1 && subleaf == 0);
    return (struct vmi__cpuid){.ecx = hypervisor ? VMI__CPUID_1_ECX_HYPERVISOR : 0};
}

static void port_write(uint16_t port, uint32_t value)
{
    done();
    if (port == PVPANIC)
        told += value == PVPANIC_PANICKED;
    asked = port;
    waited = 0;
    after++;
}

void vmi__native_delay(uint32_t microseconds)
{
    waited += microseconds;
}

void vmi__print(const char *text)
{
    (void)text;
    done();
    said++;
}

void vmi__native_console_drain(void)
{
}

bool vmi__native_console_present(void)
{
    return true;
}

void vmi__native_firmware_init(void)
{
}

volatile void *vmi__window_map(uint32_t slot, uint64_t address)
{
    (void)slot;
    (void)address;
    return 0;
}

/* A machine that takes longer to end than the library waits: all ways are tried, each is given
 * time. */
static void end_for(uint32_t reason, uint64_t tsc_hz, uint16_t debug_exit, uint16_t control)
{
    vmi__boot = (struct vmi_boot_info){.debug_exit = debug_exit};
    vmi__native_acpi = (struct vmi__native_acpi){.can_sleep = control != 0, .control_a = control};
    vmi__native_tsc_hz = tsc_hz;
    asked = 0;
    waited = hasty = said = after = told = 0;
    if (__builtin_setjmp(back) == 0)
        vmi__native_shutdown_reason(reason, VMI_STATUS_PASS);
    EXPECT(said == 1);
    EXPECT(hasty == 0);
}

static void end(uint64_t tsc_hz, uint16_t debug_exit, uint16_t control)
{
    hypervisor = true;
    events = 0x03;
    end_for(VMI_SHUTDOWN_POWEROFF, tsc_hz, debug_exit, control);
    EXPECT(told == 0);
}

/* How often a hypervisor with such a device is told of a crash. */
static uint32_t crash(bool below, uint8_t device_takes)
{
    hypervisor = below;
    events = device_takes;
    end_for(VMI_SHUTDOWN_CRASH, 1000000000, DEBUG_EXIT, 0);
    EXPECT(asked == DEBUG_EXIT);
    return told;
}

static void debug_exit_without_a_clock(void)
{
    end(0, DEBUG_EXIT, 0);
    EXPECT(after == 1 && asked == DEBUG_EXIT);
}

static void debug_exit_with_a_clock(void)
{
    end(1000000000, DEBUG_EXIT, 0);
    EXPECT(after == 1 && asked == DEBUG_EXIT);
}

static void power_off_without_a_clock(void)
{
    end(0, 0, CONTROL);
    EXPECT(after == 1 && asked == CONTROL);
}

static void power_off_after_a_debug_exit(void)
{
    end(0, DEBUG_EXIT, CONTROL);
    EXPECT(after == 2 && asked == CONTROL);
}

static void crashes_are_told_where_a_device_takes_them(void)
{
    EXPECT(crash(true, 0x03) == 1);
    EXPECT(crash(true, 0x01) == 1);
    EXPECT(crash(true, 0x02) == 0);
    EXPECT(crash(true, 0xff) == 0);
    EXPECT(crash(false, 0x03) == 0);
}

static const struct played_check checks[] = {
    CHECK(debug_exit_without_a_clock),
    CHECK(debug_exit_with_a_clock),
    CHECK(power_off_without_a_clock),
    CHECK(power_off_after_a_debug_exit),
    CHECK(crashes_are_told_where_a_device_takes_them),
};

PLAY(checks)
