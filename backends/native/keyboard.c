/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A keyboard at the PC's controller, as the input of a machine with a screen: an American one,
 * whose keys are what a terminal's send. Source: Intel 8042, as in IBM PS/2 Hardware Interface
 * Technical Reference, "Keyboard and Auxiliary Device Controller"; scan codes of set 1, which the
 * controller makes of the keyboard's.
 */
#include "keyboard.h"

#include "cpu.h"

#define DATA   0x60
#define STATUS 0x64 /* read */
#define ORDER  0x64 /* write */

#define STATUS_OUTPUT    0x01 /* a byte to be read */
#define STATUS_BUSY      0x02
#define STATUS_AUXILIARY 0x20 /* that byte is a mouse's */
#define STATUS_ABSENT    0xff

#define ORDER_READ_MODE    0x20
#define ORDER_WRITE_MODE   0x60
#define ORDER_MOUSE_OFF    0xa7
#define ORDER_KEYBOARD_OFF 0xad
#define ORDER_KEYBOARD_ON  0xae
#define MODE_INTERRUPT     0x01
#define MODE_MOUSE         0x02 /* its interrupt */
#define MODE_KEYBOARD_OFF  0x10
#define MODE_TRANSLATE     0x40
#define KEYBOARD_SCAN      0xf4 /* to the keyboard, which acknowledges it */

#define POLLS_MAX (1u << 16)
#define BYTES_MAX 64 /* that are forgotten at the start */

enum {
    KEY_CONTROL = 0x1d,
    KEY_LEFT_SHIFT = 0x2a,
    KEY_SLASH = 0x35,
    KEY_RIGHT_SHIFT = 0x36,
    KEY_CAPS_LOCK = 0x3a,
    KEY_ENTER = 0x1c,
    KEY_HOME = 0x47,
    KEY_UP,
    KEY_LEFT = 0x4b,
    KEY_RIGHT = 0x4d,
    KEY_END = 0x4f,
    KEY_DOWN,
    KEY_UPPER = 0xe0, /* the next is one of the keys that came later */
    KEY_RELEASED = 0x80,
};

/* Characters by scan code, from 0 on. */
static const char plain[] =
    "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ",
                  shifted[] =
                      "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

static bool present;
static uint8_t mode;
static bool upper, caps_lock, control;
static uint8_t shifts; /* a bit for each of the two that is down */
static char queue[3];  /* what a key has sent and nobody has read, the last first */
static uint32_t queued;
static struct vmi__lock lock;

/* ---- the controller ---- */

/* Is the bit of the status so, soon? */
static bool wait(uint8_t bit, bool set)
{
    for (uint32_t polls = 0; polls < POLLS_MAX; polls++) {
        if (!(vmi__inb(STATUS) & bit) != set)
            return true;
        vmi__pause();
    }
    return false;
}

static bool write(uint16_t port, uint8_t byte)
{
    if (!wait(STATUS_BUSY, false))
        return false;
    vmi__outb(port, byte);
    return true;
}

static void forget(void)
{
    for (uint32_t i = 0; i < BYTES_MAX && vmi__inb(STATUS) & STATUS_OUTPUT; i++)
        vmi__inb(DATA);
}

static bool write_mode(uint8_t value)
{
    return write(ORDER, ORDER_WRITE_MODE) && write(DATA, value);
}

void vmi__native_keyboard_init(void)
{
    if (vmi__inb(STATUS) == STATUS_ABSENT || !write(ORDER, ORDER_KEYBOARD_OFF) ||
        !write(ORDER, ORDER_MOUSE_OFF))
        return;
    forget();
    if (!write(ORDER, ORDER_READ_MODE) || !wait(STATUS_OUTPUT, true))
        return;
    mode = (vmi__inb(DATA) | MODE_TRANSLATE) &
           (uint8_t) ~(MODE_INTERRUPT | MODE_MOUSE | MODE_KEYBOARD_OFF);
    if (!write_mode(mode) || !write(ORDER, ORDER_KEYBOARD_ON) || !write(DATA, KEYBOARD_SCAN))
        return;
    wait(STATUS_OUTPUT, true);
    forget();
    present = true;
}

bool vmi__native_keyboard_present(void)
{
    return present;
}

void vmi__native_keyboard_interrupts(void)
{
    uint32_t flags = vmi__lock(&lock);

    /* Off and on again: a line that is high already has its edge then. */
    if (present && write_mode(mode))
        write_mode(mode | MODE_INTERRUPT);
    vmi__unlock(&lock, flags);
}

/* ---- keys; under the lock ---- */

static void send(char character)
{
    queue[queued++] = character;
}

/* The letter that ends a terminal's sequence for a key, 0 for none. */
static char letter_of(uint8_t key)
{
    switch (key) {
    case KEY_UP:
        return 'A';
    case KEY_DOWN:
        return 'B';
    case KEY_RIGHT:
        return 'C';
    case KEY_LEFT:
        return 'D';
    case KEY_END:
        return 'F';
    case KEY_HOME:
        return 'H';
    }
    return 0;
}

static void take_upper(uint8_t key)
{
    char letter = letter_of(key);

    if (key == KEY_ENTER || key == KEY_SLASH) {
        send(plain[key]);
    } else if (letter) {
        send(letter);
        send('[');
        send('\033');
    }
}

static void take_plain(uint8_t key)
{
    char character;

    if (key >= sizeof(plain) - 1 || !plain[key])
        return;
    character = shifts ? shifted[key] : plain[key];
    if (caps_lock && plain[key] >= 'a' && plain[key] <= 'z')
        character ^= 'a' ^ 'A';
    if (control && character >= '@')
        character &= 0x1f;
    send(character);
}

static void take(uint8_t code)
{
    uint8_t key = code & (uint8_t)~KEY_RELEASED, shift = key == KEY_LEFT_SHIFT ? 1 : 2;
    bool down = !(code & KEY_RELEASED), was_upper = upper;

    upper = code == KEY_UPPER;
    if (upper)
        return;
    if (key == KEY_CONTROL)
        control = down;
    else if (was_upper && down)
        take_upper(key);
    else if (was_upper)
        return;
    else if (key == KEY_LEFT_SHIFT || key == KEY_RIGHT_SHIFT)
        shifts = down ? shifts | shift : shifts & (uint8_t)~shift;
    else if (key == KEY_CAPS_LOCK)
        caps_lock ^= down;
    else if (down)
        take_plain(key);
}

uint32_t vmi__native_keyboard_read(char *to, uint32_t length)
{
    uint32_t done = 0, flags;
    uint8_t status;

    if (!present)
        return 0;
    flags = vmi__lock(&lock);
    while (done < length) {
        if (queued) {
            to[done++] = queue[--queued];
            continue;
        }
        status = vmi__inb(STATUS);
        if (!(status & STATUS_OUTPUT) || status == STATUS_ABSENT)
            break;
        if (status & STATUS_AUXILIARY)
            vmi__inb(DATA);
        else
            take(vmi__inb(DATA));
    }
    vmi__unlock(&lock, flags);
    return done;
}
