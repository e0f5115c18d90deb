/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's console as a Linux process: this file plays PCI, a virtio console that does
 * what a check wants of it, the 16550, a screen and a keyboard.
 */
#include "native/native.h"

#include <native/routines.h>

/* What a process may not do. */
static uint32_t port_read(uint16_t port, uint32_t width);
static void port_write(uint16_t port, uint32_t value, uint32_t width);
#define vmi__inb(port)           port_read(port, 1)
#define vmi__inw(port)           port_read(port, 2)
#define vmi__inl(port)           port_read(port, 4)
#define vmi__outb(port, value)   port_write(port, value, 1)
#define vmi__outw(port, value)   port_write(port, value, 2)
#define vmi__outl(port, value)   port_write(port, value, 4)
#define vmi__pause()             ((void)0)
#define vmi__lock(lock)          ((void)(lock), 0u)
#define vmi__unlock(lock, flags) ((void)(lock), (void)(flags))

#include "native/console.c"
#include "native/console_virtio.c"

#include "backends/plain_memory.h"
#include "backends/played.h"

/* ---- the machine ---- */

#define BASE     0xc040
#define FUNCTION (3 * PCI_SLOT + 1 * PCI_FUNCTION)
#define RECEIVE  0
#define TRANSMIT 1

/* Which rule the device breaks. */
enum fault {
    NONE,
    INDEX_AHEAD,  /* more is used than was given */
    INDEX_BEHIND, /* less than before */
    OTHER_BUFFER, /* that the device does not have */
    NO_BUFFER,    /* whose number is that of no descriptor */
    TOO_LONG,
    EMPTY,
    SILENT,
};

static struct machine {
    const char *option; /* value of vmi.console=, 0 if it is not there */
    bool uart, pci;
    uint32_t id, subsystem, bar, command, line;
    uint32_t sizes[2], pages[2], selected, status, interrupt;
    bool stays_busy; /* after a reset */
    enum fault fault;
    uint32_t seen[2]; /* of what the driver has given, by queue */
    uint32_t address, accesses, strays, notified, resets, acknowledged;
    uint32_t memory_left;
} machine;

static char memory[1 << 18] __attribute__((aligned(4096)));
static char sent[1 << 16], sent_by_uart[1 << 16];
static uint32_t sent_bytes, uart_bytes;
static const char *fatal;
static void *refused[5];

struct vmi_boot_info vmi__boot = {.linear_pages = 0x10000};

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    if (size > machine.memory_left || size & (PAGE - 1) || limit != 0x10000000)
        return 0;
    machine.memory_left -= size;
    return (uint32_t)(uintptr_t)memory + machine.memory_left;
}

bool vmi__option(const char *name, const char **value, uint32_t *length)
{
    const char *end = machine.option;

    (void)name;
    if (!end)
        return false;
    while (*end && *end != ' ')
        end++;
    *value = machine.option;
    *length = (uint32_t)(end - machine.option);
    return true;
}

void vmi__fatal(const char *reason)
{
    fatal = reason;
    __builtin_longjmp(refused, 1);
}

void vmi__native_uart_init(void)
{
}

bool vmi__native_uart_present(void)
{
    return machine.uart;
}

void vmi__native_uart_interrupts(void)
{
}

void vmi__native_uart_drain(void)
{
}

int32_t vmi__native_uart_write(const void *from, uint32_t length)
{
    if (!machine.uart)
        return VMI_EIO;
    memcpy(sent_by_uart + uart_bytes, from, length);
    uart_bytes += length;
    return (int32_t)length;
}

int32_t vmi__native_uart_read(void *to, uint32_t length)
{
    (void)to;
    return machine.uart && length ? 0 : VMI_EIO;
}

bool vmi__native_screen;
static char screened[64];
static uint32_t screened_bytes;
static const char *typed; /* on the keyboard; 0: there is none */
static bool keyboard_interrupts;

void vmi__native_screen_init(void)
{
    vmi__native_screen = true;
}

void vmi__native_screen_write(const char *from, uint32_t length)
{
    memcpy(screened + screened_bytes, from, length);
    screened_bytes += length;
}

void vmi__native_keyboard_init(void)
{
    typed = "";
}

bool vmi__native_keyboard_present(void)
{
    return typed;
}

void vmi__native_keyboard_interrupts(void)
{
    keyboard_interrupts = true;
}

uint32_t vmi__native_keyboard_read(char *to, uint32_t length)
{
    uint32_t done = 0;

    while (done < length && *typed)
        to[done++] = *typed++;
    return done;
}

/* ---- the device ---- */

/* Rings where VIRTIO 1.2, 2.7.2, has them. */
static struct descriptor *descriptors(uint32_t queue)
{
    return (void *)(uintptr_t)(machine.pages[queue] * 4096);
}

static struct available *available(uint32_t queue)
{
    return (void *)(descriptors(queue) + machine.sizes[queue]);
}

static struct used *used(uint32_t queue)
{
    uintptr_t end = (uintptr_t)&available(queue)->ring[machine.sizes[queue] + 1];

    return (void *)((end + 4095) & ~(uintptr_t)4095);
}

/* Ends one buffer, or does what the check wants instead. */
static void use(uint32_t queue, uint32_t id, uint32_t length)
{
    struct used *ring = used(queue);
    uint32_t place = ring->index % machine.sizes[queue];

    if (machine.fault == SILENT)
        return;
    ring->ring[place].id = machine.fault == OTHER_BUFFER ? id ^ 1
                           : machine.fault == NO_BUFFER  ? 0x10000 + id
                                                         : id;
    ring->ring[place].length = machine.fault == TOO_LONG ? 0x10000
                               : machine.fault == EMPTY  ? 0
                                                         : length;
    ring->index = (uint16_t)(ring->index + (machine.fault == INDEX_AHEAD    ? 6
                                            : machine.fault == INDEX_BEHIND ? -1
                                                                            : 1));
}

/* The next buffer that the driver has given; 0 if there is none. */
static struct descriptor *next_given(uint32_t queue, uint32_t *id)
{
    struct available *ring = available(queue);

    if (ring->index == (uint16_t)machine.seen[queue])
        return 0;
    *id = ring->ring[machine.seen[queue]++ % machine.sizes[queue]];
    return &descriptors(queue)[*id];
}

static void take_sent(void)
{
    struct descriptor *descriptor;
    uint32_t id;

    while ((descriptor = next_given(TRANSMIT, &id))) {
        memcpy(sent + sent_bytes, (void *)(uintptr_t)descriptor->address, descriptor->length);
        sent_bytes += descriptor->length;
        use(TRANSMIT, id, 0);
    }
}

/* Types; returns how much of it has found room. */
static uint32_t type(const char *text, uint32_t length)
{
    struct descriptor *descriptor;
    uint32_t id, done = 0, count;

    while (done < length && (descriptor = next_given(RECEIVE, &id))) {
        count = length - done < descriptor->length ? length - done : descriptor->length;
        memcpy((void *)(uintptr_t)descriptor->address, text + done, count);
        done += count;
        use(RECEIVE, id, count);
        machine.interrupt = 1;
    }
    return done;
}

static uint32_t config(uint32_t address)
{
    uint32_t function = address & 0xff00, reg = address & 0xff;

    /* Slot 3 has two functions, the second is the console. */
    if (function != FUNCTION && function != 3 * PCI_SLOT)
        return 0xffffffff;
    switch (reg) {
    case PCI_ID:
        return function == FUNCTION ? machine.id : 0x12378086;
    case PCI_COMMAND:
        return machine.command;
    case PCI_HEADER:
        return HEADER_FUNCTIONS;
    case PCI_BAR0:
        return machine.bar;
    case PCI_SUBSYSTEM:
        return machine.subsystem;
    case PCI_INTERRUPT:
        return 0x100 | machine.line;
    }
    return 0;
}

static uint32_t port_read(uint16_t port, uint32_t width)
{
    uint32_t value, nobody = 0xffffffff >> (32 - 8 * width);

    machine.accesses++;
    if (!machine.pci)
        return nobody;
    if (port == 0xcf8 && width == 4)
        return machine.address;
    if (port == 0xcfc && width == 4)
        return config(machine.address);
    if (port == BASE + 0x0c && width == 2)
        return machine.sizes[machine.selected];
    if (port == BASE + 0x12 && width == 1)
        return machine.stays_busy ? 4 : machine.status;
    if (port == BASE + 0x13 && width == 1) {
        value = machine.interrupt;
        machine.interrupt = 0;
        machine.acknowledged++;
        return value;
    }
    return nobody;
}

static void port_write(uint16_t port, uint32_t value, uint32_t width)
{
    machine.accesses++;
    if (port == 0xcf8 && width == 4) {
        machine.address = value;
    } else if (port == 0xcfc && machine.address == (0x80000000 | FUNCTION | PCI_COMMAND)) {
        machine.command = value;
    } else if (port == BASE + 0x08 && width == 4) {
        machine.pages[machine.selected] = value;
    } else if (port == BASE + 0x0e && width == 2) {
        machine.selected = value;
    } else if (port == BASE + 0x10 && width == 2) {
        machine.notified++;
        if (value == TRANSMIT)
            take_sent();
    } else if (port == BASE + 0x12 && width == 1) {
        machine.status = value;
        machine.resets += value == 0;
    } else if (port < BASE || port >= BASE + 0x14) {
        machine.strays++;
    }
}

/* ---- checks ---- */

#define GUARD 0x5a

static char text[10000];

static bool same(const char *left, const char *right, uint32_t length)
{
    for (; length; length--) {
        if (*left++ != *right++)
            return false;
    }
    return true;
}

/* A machine with a sound device, both consoles just found; `change` breaks it before that. */
static void start(const char *option, void (*change)(void))
{
    machine = (struct machine){
        .option = option,
        .uart = true,
        .pci = true,
        .id = 0x10031af4,
        .subsystem = 0x00031af4,
        .bar = BASE | 1,
        .command = 0xffff0000,
        .line = 11,
        .sizes = {128, 128},
        .memory_left = sizeof(memory) - 4096,
    };
    if (change)
        change();
    vmi__native_virtio = interrupts = false;
    receive = (struct queue){0};
    transmit = (struct queue){.number = 1};
    held.length = 0;
    sent_bytes = uart_bytes = 0;
    fatal = 0;
    memset(memory, GUARD, sizeof(memory));
    for (uint32_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7 + i / 256);
    if (!__builtin_setjmp(refused))
        vmi__native_console_init();
}

/* Neither the page behind the queues nor what lies below them was touched. */
static void expect_memory_whole(void)
{
    uint32_t i;

    for (i = 0; i < machine.memory_left && memory[i] == GUARD; i++)
        ;
    EXPECT(i == machine.memory_left);
    for (i = sizeof(memory) - 4096; i < sizeof(memory) && memory[i] == GUARD; i++)
        ;
    EXPECT(i == sizeof(memory));
}

static void carries_both_ways(void)
{
    char read[sizeof(text)];
    uint32_t typed = 0, done = 0, rounds;

    start("virtio quiet", 0);
    EXPECT(vmi__native_virtio && machine.status == 7);
    EXPECT(machine.command == 5);
    EXPECT(vmi__native_console_line() == 11);
    EXPECT(vmi__native_console_write(text, 0) == 0);
    EXPECT(vmi__native_console_read(read, sizeof(read)) == 0);
    /* Indices pass 2^16 on the way. */
    for (rounds = 0; rounds < 70000; rounds++) {
        sent_bytes = 0;
        EXPECT(vmi__native_console_write(text + rounds % 4096, 1) == 1);
        EXPECT(sent_bytes == 1 && sent[0] == text[rounds % 4096]);
        EXPECT(type(text + rounds % 4096, 1) == 1);
        EXPECT(vmi__native_console_read(read, 2) == 1 && read[0] == text[rounds % 4096]);
    }
    sent_bytes = 0;
    machine.notified = 0;
    EXPECT(vmi__native_console_write(text, sizeof(text)) == sizeof(text));
    EXPECT(sent_bytes == sizeof(text) && same(sent, text, sizeof(text)));
    EXPECT(machine.notified == 3);
    while (done < sizeof(text)) {
        typed += type(text + typed, sizeof(text) - typed);
        done += (uint32_t)vmi__native_console_read(read + done, done % 600 + 1);
    }
    EXPECT(typed == sizeof(text) && same(read, text, sizeof(text)));
    EXPECT(machine.resets == 1 && uart_bytes == 0);
    expect_memory_whole();
}

static void expect_uart(void)
{
    uint32_t kept = machine.accesses;
    char read[1];

    EXPECT(!vmi__native_virtio && vmi__native_console_present());
    EXPECT(vmi__native_console_line() == VMI__LINE_UART);
    EXPECT(vmi__native_console_write(text, 100) == 100 && uart_bytes == 100);
    EXPECT(vmi__native_console_read(read, 1) == 0);
    EXPECT(machine.accesses == kept && machine.strays == 0 && sent_bytes == 0);
    expect_memory_whole();
}

static void is_not_looked_for_unasked(void)
{
    start(0, 0);
    EXPECT(machine.accesses == 0);
    expect_uart();
    start("16550", 0);
    EXPECT(machine.accesses == 0);
    expect_uart();
}

static void other_words_are_refused(void)
{
    static const char *const words[] = {"", "virtio2", "virti", "16550a", "virtio,16550"};

    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        start(words[i], 0);
        EXPECT(fatal && machine.accesses == 0);
    }
}

static void without_pci(void)
{
    machine.pci = false;
}

static void other_device(void)
{
    machine.id = 0x10001af4;
}

static void other_subsystem(void)
{
    machine.subsystem = 0x00011af4;
}

static void memory_bar(void)
{
    machine.bar = BASE;
}

static void no_bar(void)
{
    machine.bar = 1;
}

static void bar_at_the_end(void)
{
    machine.bar = 0xfff1;
}

static void bar_above_ports(void)
{
    machine.bar = 0x1c041;
}

static void never_reset(void)
{
    machine.stays_busy = true;
}

static void no_memory(void)
{
    machine.memory_left = 4096;
}

static void memory_for_one(void)
{
    machine.memory_left = 4 * 4096;
}

static void what_is_no_console_is_left_alone(void)
{
    static void (*const changes[])(void) = {
        without_pci,    other_device,    other_subsystem, memory_bar, no_bar,
        bar_at_the_end, bar_above_ports, never_reset,     no_memory,  memory_for_one};

    for (uint32_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        start("virtio", changes[i]);
        expect_uart();
        EXPECT(machine.status == 0);
    }
}

static uint32_t size_to_try, queue_to_try;

static void other_size(void)
{
    machine.sizes[queue_to_try] = size_to_try;
}

static void queues_may_have_any_lawful_size(void)
{
    for (queue_to_try = RECEIVE; queue_to_try <= TRANSMIT; queue_to_try++) {
        for (size_to_try = 4; size_to_try <= 1024; size_to_try *= 2) {
            char read[3];

            start("virtio", other_size);
            for (uint32_t round = 0; round < 3000; round++) {
                EXPECT(vmi__native_console_write(text, 3) == 3);
                EXPECT(type(text, 3) == 3);
                EXPECT(vmi__native_console_read(read, 3) == 3 && same(read, text, 3));
            }
            EXPECT(vmi__native_virtio && sent_bytes == 9000);
            expect_memory_whole();
        }
    }
}

static void absurd_sizes_are_none(void)
{
    static const uint16_t sizes[] = {0, 3, 129, 2048, 0x8000, 0xffff};

    for (queue_to_try = RECEIVE; queue_to_try <= TRANSMIT; queue_to_try++) {
        for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            size_to_try = sizes[i];
            start("virtio", other_size);
            expect_uart();
            EXPECT(machine.status == 0);
        }
    }
    /* Too small for the buffers that it is to have. */
    queue_to_try = RECEIVE;
    size_to_try = 2;
    start("virtio", other_size);
    expect_uart();
}

/* What the device has not taken goes to the 16550, and nothing is lost or said twice. */
static void writes_despite(enum fault fault)
{
    start("virtio", 0);
    EXPECT(vmi__native_console_write(text, 10) == 10);
    machine.fault = fault;
    EXPECT(vmi__native_console_write(text + 10, sizeof(text) - 10) == sizeof(text) - 10);
    EXPECT(!vmi__native_virtio && machine.status == 0);
    EXPECT(sent_bytes == 10 + 4096 && same(sent, text, sent_bytes));
    EXPECT(uart_bytes == sizeof(text) - sent_bytes);
    EXPECT(same(sent_by_uart, text + sent_bytes, uart_bytes));
    expect_memory_whole();
    uart_bytes = sent_bytes = 0;
    expect_uart();
}

static void output_survives_a_wrong_index(void)
{
    writes_despite(INDEX_AHEAD);
    writes_despite(INDEX_BEHIND);
}

static void output_survives_a_wrong_buffer(void)
{
    writes_despite(OTHER_BUFFER);
    writes_despite(NO_BUFFER);
}

static void output_survives_silence(void)
{
    writes_despite(SILENT);
}

static void without_another_console_there_is_none_left(void)
{
    start("virtio", 0);
    machine.uart = false;
    machine.fault = NO_BUFFER;
    EXPECT(vmi__native_console_write(text, sizeof(text)) == 4096);
    EXPECT(vmi__native_console_write(text, sizeof(text)) == VMI_EIO);
    EXPECT(!vmi__native_console_present());
}

/* Nothing of what comes with the fault, or after it, is believed; what came before is. */
static void reads_despite(enum fault fault)
{
    char read[sizeof(text)];

    start("virtio", 0);
    EXPECT(type(text, 100) == 100);
    machine.fault = fault;
    type(text + 100, 2000);
    memset(read, GUARD, sizeof(read));
    vmi__native_console_read(read, sizeof(read));
    EXPECT(!vmi__native_virtio && machine.status == 0);
    for (uint32_t i = fault == TOO_LONG || fault == EMPTY ? 100 : 2100; i < sizeof(read); i++)
        EXPECT(read[i] == GUARD);
    expect_memory_whole();
    uart_bytes = 0;
    expect_uart();
}

static void input_survives_a_wrong_index(void)
{
    reads_despite(INDEX_AHEAD);
    reads_despite(INDEX_BEHIND);
}

static void input_survives_a_wrong_buffer(void)
{
    reads_despite(NO_BUFFER);
    start("virtio", 0);
    EXPECT(type(text, 1) == 1);
    EXPECT(type(text, 1) == 1);
    used(RECEIVE)->ring[1].id = used(RECEIVE)->ring[0].id;
    EXPECT(vmi__native_console_read(memory, 1) == 1);
    /* The first is with the device again: this may be it. */
    EXPECT(vmi__native_virtio);
    used(RECEIVE)->ring[1].id = 4;
    EXPECT(vmi__native_console_read(memory, 1) == 0 && !vmi__native_virtio);
}

static void a_buffer_is_taken_once(void)
{
    char read[2];

    start("virtio", 0);
    EXPECT(type(text, 2) == 2);
    EXPECT(type(text, 2) == 2);
    /* Half of the first is held, and the second pretends to be it. */
    EXPECT(vmi__native_console_read(read, 1) == 1);
    used(RECEIVE)->ring[1].id = held.id;
    EXPECT(!take_received() && !vmi__native_virtio);
}

static void input_survives_a_wrong_length(void)
{
    reads_despite(TOO_LONG);
    reads_despite(EMPTY);
}

/* The line is lowered before the buffers are looked at, and not where there is nothing new. */
static void lowers_its_line(void)
{
    char read[10];

    start("virtio", 0);
    type(text, 10);
    EXPECT(vmi__native_console_read(read, 10) == 10 && machine.acknowledged == 0);
    vmi__native_console_interrupts();
    EXPECT(vmi__native_console_read(read, 10) == 0 && machine.acknowledged == 0);
    type(text, 10);
    EXPECT(vmi__native_console_read(read, 5) == 5 && machine.acknowledged == 1);
    EXPECT(vmi__native_console_read(read, 5) == 5 && machine.acknowledged == 1);
    EXPECT(!machine.interrupt);
    type(text, 10);
    vmi__native_virtio_acknowledge();
    EXPECT(!machine.interrupt);
}

static void waits_at_the_end(void)
{
    start("virtio", 0);
    machine.fault = SILENT;
    EXPECT(vmi__native_console_write(text, 10) == 10);
    vmi__native_console_drain();
    EXPECT(vmi__native_virtio && transmit.with_device);
}

/* ---- a screen ---- */

/* What the other console takes is on the screen, once; all, where there is no other. */
static void a_screen_shows_what_is_sent(void)
{
    char read[4];

    start("16550", 0);
    machine.uart = true;
    vmi__native_console_screen_init();
    EXPECT(vmi__native_console_line() == VMI__LINE_UART);
    vmi__native_console_interrupts();
    EXPECT(!keyboard_interrupts);
    EXPECT(vmi__native_console_write("both", 4) == 4 && uart_bytes == 4 && screened_bytes == 4);
    typed = "key";
    EXPECT(vmi__native_console_read(read, 4) == 3 && read[0] == 'k' && !*typed);
    EXPECT(vmi__native_console_read(read, 4) == 0);
    machine.uart = false;
    EXPECT(vmi__native_console_present() && vmi__native_console_line() == VMI__LINE_KEYBOARD);
    EXPECT(vmi__native_console_write("alone", 5) == 5 && screened_bytes == 9);
    EXPECT(vmi__native_console_read(read, 4) == 0);
    vmi__native_console_interrupts();
    EXPECT(keyboard_interrupts);
    typed = 0;
    EXPECT(vmi__native_console_line() == VMI__ISA_LINES);
    EXPECT(vmi__native_console_read(read, 4) == VMI_EIO);
    vmi__native_screen = false;
    EXPECT(!vmi__native_console_present() && vmi__native_console_write("none", 4) == VMI_EIO);
    EXPECT(screened_bytes == 9);
}

/* ---- main ---- */

static const struct played_check checks[] = {
    CHECK(carries_both_ways),
    CHECK(is_not_looked_for_unasked),
    CHECK(other_words_are_refused),
    CHECK(what_is_no_console_is_left_alone),
    CHECK(queues_may_have_any_lawful_size),
    CHECK(absurd_sizes_are_none),
    CHECK(output_survives_a_wrong_index),
    CHECK(output_survives_a_wrong_buffer),
    CHECK(output_survives_silence),
    CHECK(without_another_console_there_is_none_left),
    CHECK(input_survives_a_wrong_index),
    CHECK(input_survives_a_wrong_buffer),
    CHECK(a_buffer_is_taken_once),
    CHECK(input_survives_a_wrong_length),
    CHECK(lowers_its_line),
    CHECK(waits_at_the_end),
    CHECK(a_screen_shows_what_is_sent),
};

PLAY(checks)
