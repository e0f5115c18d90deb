/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's keyboard as a Linux process: this file plays the controller.
 */
#include "native/cpu.h"
#include "native/keyboard.h"
#include "native/native.h"

/* What a process may not do. */
static uint8_t port_read(uint16_t port);
static void port_write(uint16_t port, uint8_t value);
#define vmi__inb(port)           port_read(port)
#define vmi__outb(port, value)   port_write(port, (uint8_t)(value))
#define vmi__pause()             ((void)0)
#define vmi__lock(lock)          ((void)(lock), 0u)
#define vmi__unlock(lock, flags) ((void)(lock), (void)(flags))

#include "native/keyboard.c"

#include "backends/played.h"

/* ---- the machine ---- */

/* What the controller has to say: bytes, and for each whether it is a mouse's. */
static struct {
    uint8_t status, bytes[256], mouse[256];
    uint32_t count, taken, mode, order, scans, reads;
    bool absent, silent, busy, endless;
} machine;

static void say(uint8_t byte, bool mouse)
{
    machine.mouse[machine.count] = mouse;
    machine.bytes[machine.count++] = byte;
}

static uint8_t port_read(uint16_t port)
{
    machine.reads++;
    if (machine.absent)
        return 0xff;
    if (port == STATUS)
        return (uint8_t)((machine.endless || machine.taken < machine.count ? STATUS_OUTPUT : 0) |
                         (machine.mouse[machine.taken] ? STATUS_AUXILIARY : 0) |
                         (machine.busy ? STATUS_BUSY : 0));
    EXPECT(port == DATA);
    return machine.taken < machine.count ? machine.bytes[machine.taken++] : 0;
}

static void port_write(uint16_t port, uint8_t value)
{
    EXPECT(!machine.busy);
    if (port == ORDER) {
        machine.order = value;
        if (value == ORDER_READ_MODE && !machine.silent)
            say((uint8_t)machine.mode, false);
        return;
    }
    EXPECT(port == DATA);
    if (machine.order == ORDER_WRITE_MODE) {
        machine.mode = value;
    } else {
        EXPECT(machine.order == ORDER_KEYBOARD_ON && value == KEYBOARD_SCAN);
        machine.scans++;
        say(0xfa, false);
    }
}

static void start(void)
{
    present = upper = caps_lock = control = false;
    shifts = 0;
    queued = 0;
    vmi__native_keyboard_init();
}

static void reset(void)
{
    machine.count = machine.taken = machine.scans = machine.reads = 0;
    machine.absent = machine.silent = machine.busy = machine.endless = false;
    machine.mode = MODE_MOUSE | MODE_KEYBOARD_OFF | MODE_INTERRUPT;
}

/* Do these keys, by their codes, send this text? */
static bool sends(const char *codes, uint32_t count, const char *text)
{
    char got[64];
    uint32_t length, i;

    machine.count = machine.taken = 0;
    for (i = 0; i < count; i++)
        say((uint8_t)codes[i], false);
    length = vmi__native_keyboard_read(got, sizeof(got));
    for (i = 0; i < length; i++)
        if (got[i] != text[i])
            return false;
    return !text[i] && machine.taken == machine.count;
}

#define SENDS(codes, text) sends(codes, sizeof(codes) - 1, text)

/* ---- checks ---- */

static void is_set_up(void)
{
    reset();
    say(0x1e, false); /* from before */
    start();
    EXPECT(vmi__native_keyboard_present() && machine.mode == MODE_TRANSLATE && machine.scans == 1);
    EXPECT(SENDS("", ""));
    vmi__native_keyboard_interrupts();
    EXPECT(machine.mode == (MODE_TRANSLATE | MODE_INTERRUPT));
}

static void keys_are_what_a_terminal_sends(void)
{
    reset();
    start();
    EXPECT(SENDS("\x1e\x9e\x30\xb0\x39\xb9\x1c\x9c\x0e\x8e\x01\x81", "ab \r\177\033"));
    EXPECT(SENDS("\x2a\x1e\x9e\x02\x82\xaa\x1e\x02", "A!a1"));
    EXPECT(SENDS("\x36\x2a\x1e\xb6\x1e\xaa\x1e", "AAa")); /* both shifts */
    EXPECT(SENDS("\x3a\xba\x1e\x02\x2a\x1e\xaa\x3a\xba\x1e", "A1aa"));
    EXPECT(SENDS("\x1d\x2e\xae\x9d\x2e", "\x03"
                                         "c"));
    EXPECT(SENDS("\xe0\x1d\x20\xe0\x9d", "\x04"));
    EXPECT(SENDS("\xe0\x48\xe0\xc8\xe0\x50\xe0\x4b\xe0\x4d\xe0\x47\xe0\x4f",
                 "\033[A\033[B\033[D\033[C\033[H\033[F"));
    EXPECT(SENDS("\xe0\x1c\xe0\x35\xe0\x2a\xe0\xaa\xe0\x5b\x58\x00\x7f", "\r/"));
}

static void a_long_key_waits(void)
{
    char got[2];

    reset();
    start();
    machine.count = machine.taken = 0;
    say(0xe0, false);
    say(0x48, false);
    say(0x1e, false);
    EXPECT(vmi__native_keyboard_read(got, 0) == 0);
    EXPECT(vmi__native_keyboard_read(got, 2) == 2 && got[0] == '\033' && got[1] == '[');
    EXPECT(vmi__native_keyboard_read(got, 2) == 2 && got[0] == 'A' && got[1] == 'a');
    EXPECT(vmi__native_keyboard_read(got, 2) == 0);
}

static void a_mouse_types_nothing(void)
{
    char got[4];

    reset();
    start();
    machine.count = machine.taken = 0;
    say(0x1e, true);
    say(0x30, false);
    EXPECT(vmi__native_keyboard_read(got, 4) == 1 && got[0] == 'b');
}

static void what_does_not_answer_is_none(void)
{
    char got[4];

    reset();
    machine.absent = true;
    start();
    EXPECT(!vmi__native_keyboard_present() && machine.reads == 1);
    reset();
    machine.silent = true;
    start();
    EXPECT(!vmi__native_keyboard_present());
    reset();
    machine.busy = true;
    start();
    EXPECT(!vmi__native_keyboard_present());
    EXPECT(vmi__native_keyboard_read(got, 4) == 0);
    /* One that never ends to speak while it is set up. */
    reset();
    machine.endless = true;
    start();
    EXPECT(vmi__native_keyboard_present());
    /* It is taken away later. */
    reset();
    start();
    machine.absent = true;
    EXPECT(vmi__native_keyboard_read(got, 4) == 0);
}

static const struct played_check checks[] = {
    CHECK(is_set_up),
    CHECK(keys_are_what_a_terminal_sends),
    CHECK(a_long_key_waits),
    CHECK(a_mouse_types_nothing),
    CHECK(what_does_not_answer_is_none),
};

PLAY(checks)
