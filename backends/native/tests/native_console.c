/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's console as a Linux process: this file plays PCI, a virtio console that does
 * what a check wants of it, by the modern and by the legacy interface, the 16550, a screen and a
 * keyboard.
 */
#include "native/native.h"

#include <native/routines.h>

/* What a process may not do. */
static uint32_t port_read(uint16_t port, uint32_t width);
static void port_write(uint16_t port, uint32_t value, uint32_t width);
static void works(void);
#define vmi__inb(port)           port_read(port, 1)
#define vmi__inw(port)           port_read(port, 2)
#define vmi__inl(port)           port_read(port, 4)
#define vmi__outb(port, value)   port_write(port, value, 1)
#define vmi__outw(port, value)   port_write(port, value, 2)
#define vmi__outl(port, value)   port_write(port, value, 4)
#define vmi__pause()             works()
#define vmi__lock(lock)          ((void)(lock), 0u)
#define vmi__unlock(lock, flags) ((void)(lock), (void)(flags))

#include "native/console.c"
#include "native/console_virtio.c"
#include "native/platform.c"
#include "virtio/console.c" /* devices/ */

#include "backends/plain_memory.h"
#include "backends/played.h"
#include "backends/virtio_rings.h"

/* ---- the machine ---- */

/* By the standards themselves: PCI 3.0, 3.2.2.3.2 and 6; VIRTIO 1.2, 2.7 and 4.1. */
#define SLOT             (3 << 11)
#define FUNCTION         (SLOT | 1 << 8)
#define HEADER_FUNCTIONS 0x00800000u
#define STATUS_LIST      0x00100000u
enum { IO = 1, MEMORY = 2, MASTER = 4, NO_LINE = 0x400 };
enum { ID = 0x00, HEADER = 0x0c, BAR0 = 0x10, BAR1 = 0x14, SUBSYSTEM = 0x2c, LIST = 0x34 };
enum { PART_FIRST = 0x40, PART_BYTES = 0x18, PARTS = 4, COMMON_PART = 0, NOTIFY_PART = 1 };
enum { OFFERED = 4, STATUS = 20, SIZE = 24, DESCRIPTORS = 32, AVAILABLE = 40, USED = 48 };

#define BASE      0xc040     /* of the ports */
#define REGISTERS 0xfe000000 /* of the modern interface, each part in a page of its own */
#define NOBODY    0xffff     /* is notified */

/* By MMIO all is in the first page (4.2.2). */
enum { MAGIC = 0x00, VERSION = 0x04, TYPE = 0x08, MMIO_OFFERED = 0x10, MMIO_MOST = 0x34 };
enum { MMIO_SIZE = 0x38, MMIO_NOTIFY = 0x50, MMIO_STATUS = 0x70, MMIO_DESCRIPTORS = 0x80 };
#define MAGIC_VALUE 0x74726976

static uint8_t bar[PARTS * 4096] __attribute__((aligned(4096)));
static bool modern, mmio;

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
    bool uart, pci;
    uint32_t id, subsystem, bar, command, line, type;
    bool sizing, list, no_window;
    uint32_t sizes[2], selected, status, interrupt;
    uint32_t rings[2][3]; /* where the driver has put the parts of each queue */
    bool stays_busy;      /* after a reset */
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

/* Has the driver that interface to its device? */
static bool has_modern(void)
{
    return modern && !machine.no_window;
}

static void set_register(uint32_t part, uint32_t offset, uint32_t value, uint32_t bytes)
{
    memcpy(bar + part * 4096 + offset, &value, bytes);
}

static uint32_t get_register(uint32_t part, uint32_t offset, uint32_t bytes)
{
    uint32_t value = 0;

    memcpy(&value, bar + part * 4096 + offset, bytes);
    return value;
}

/* What the driver has told last of a queue, in registers that are memory; the next queue's size. */
static void note(uint32_t queue)
{
    uint32_t rings = mmio ? MMIO_DESCRIPTORS : DESCRIPTORS, step = mmio ? 16 : 8;

    machine.sizes[queue] = get_register(COMMON_PART, mmio ? MMIO_SIZE : SIZE, 2);
    for (uint32_t i = 0; i < 3; i++)
        machine.rings[queue][i] = get_register(COMMON_PART, rings + step * i, 4);
    if (mmio)
        return;
    set_register(COMMON_PART, SIZE, machine.sizes[TRANSMIT], 2);
}

VMI__ROUTINE int32_t vmi__native_map_device(uint64_t base, uintptr_t size, uint32_t cache,
                                            void **address)
{
    EXPECT(base >= REGISTERS && base + size <= REGISTERS + sizeof(bar) && size == 4096);
    EXPECT(cache == VMI_CACHE_UNCACHED);
    *address = bar + (base - REGISTERS);
    return machine.no_window ? VMI_ENOSYS : VMI_OK;
}

void vmi__native_device_keep(const volatile void *address)
{
    (void)address;
}

void vmi__native_delay(uint32_t microseconds)
{
    (void)microseconds;
}

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    if (size > machine.memory_left || size & (PAGE - 1) || limit != 0x10000000)
        return 0;
    machine.memory_left -= size;
    /* The first queue has been set up when memory for the second one is asked for. */
    if (has_modern() && console.queues[RECEIVE].size)
        note(RECEIVE);
    return (uint32_t)(uintptr_t)memory + machine.memory_left;
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

static struct descriptor *descriptors(uint32_t queue)
{
    return (void *)(uintptr_t)machine.rings[queue][0];
}

static struct available *available(uint32_t queue)
{
    return (void *)(uintptr_t)machine.rings[queue][1];
}

static struct used *used(uint32_t queue)
{
    return (void *)(uintptr_t)machine.rings[queue][2];
}

/* Rings where VIRTIO 1.2, 2.7.2, has them. */
static void note_page(uint32_t queue, uint32_t page)
{
    uint32_t at = page * 4096, *rings = machine.rings[queue];

    rings[0] = at;
    rings[1] = at + 16 * machine.sizes[queue];
    rings[2] = (rings[1] + 4 + 2 * (machine.sizes[queue] + 1) + 4095) & ~4095u;
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

/* What a device by the modern interface does while the driver waits, or a check has it do. */
static void works(void)
{
    uint32_t part = mmio ? COMMON_PART : NOTIFY_PART, at = mmio ? MMIO_NOTIFY : 0;
    uint32_t told = get_register(part, at, 2);

    if (!has_modern() || told == NOBODY)
        return;
    set_register(part, at, NOBODY, 2);
    machine.notified++;
    if (told == TRANSMIT)
        take_sent();
}

static uint32_t status(void)
{
    return has_modern() ? get_register(COMMON_PART, mmio ? MMIO_STATUS : STATUS, 1)
                        : machine.status;
}

/* The capabilities: common configuration, notifications, interrupt, the device's own. */
static uint32_t capability(uint32_t offset)
{
    uint32_t part = (offset - PART_FIRST) / PART_BYTES;

    switch ((offset - PART_FIRST) % PART_BYTES) {
    case 0:
        return 9u | (part + 1 < PARTS ? offset + PART_BYTES : 0) << 8 | (part + 1) << 24;
    case 4:
        return 1; /* the BAR */
    case 8:
        return part * 4096;
    case 12:
        return 4096;
    default:
        return part == NOTIFY_PART ? 4 : 0;
    }
}

static uint32_t config(uint32_t address)
{
    uint32_t function = address & 0xff00, reg = address & 0xff;

    /* Slot 3 has two functions, the second is the console. */
    if ((address & 0xff0000) || (function != FUNCTION && function != SLOT))
        return 0xffffffff;
    switch (reg) {
    case ID:
        return function == FUNCTION ? machine.id : 0x12378086;
    case VMI__PCI_COMMAND:
        return machine.command | (machine.list ? STATUS_LIST : 0);
    case HEADER:
        return HEADER_FUNCTIONS;
    case BAR0:
        return machine.bar;
    case BAR1:
        return machine.sizing ? ~(uint32_t)(sizeof(bar) - 1) : REGISTERS;
    case SUBSYSTEM:
        return machine.subsystem;
    case LIST:
        return PART_FIRST;
    case 0x3c: /* line, and pin */
        return 0x100 | machine.line;
    }
    return reg >= PART_FIRST && reg < PART_FIRST + PARTS * PART_BYTES ? capability(reg) : 0;
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
    } else if (port == 0xcfc && machine.address == (0x80000000 | FUNCTION | VMI__PCI_COMMAND)) {
        machine.command = value;
    } else if (port == 0xcfc && machine.address == (0x80000000 | FUNCTION | BAR1)) {
        machine.sizing = value == 0xffffffff;
        machine.strays += machine.command & MEMORY; /* not while it answers there */
    } else if (port == BASE + 0x08 && width == 4) {
        note_page(machine.selected, value);
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

/* A check of a device by the modern interface alone, then of one by the legacy interface alone. */
#define BY_EITHER(check)                                                                           \
    static void check##_so(void);                                                                  \
    static void check(void)                                                                        \
    {                                                                                              \
        modern = true;                                                                             \
        check##_so();                                                                              \
        modern = false;                                                                            \
        check##_so();                                                                              \
    }                                                                                              \
    static void check##_so(void)

static int32_t write(const void *from, uint32_t length)
{
    int32_t done = vmi__native_console_write(from, length);

    works();
    return done;
}

/* The command line: vmi.console=, and where a device by MMIO is. */
static void say(const char *option)
{
    static char line[256];
    const char *const parts[] = {
        option ? "vmi.console=" : "", option ? option : "",
        mmio ? " virtio_mmio.device=none virtio_mmio.device=4K@0xfe000000:7" : ""};
    uint32_t at = 0;

    for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        for (const char *from = parts[i]; *from; from++)
            line[at++] = *from;
    line[at] = 0;
    vmi__boot.command_line = line;
}

/* A machine with a sound device, both consoles just found; `change` breaks it before that. */
static void start(const char *option, void (*change)(void))
{
    machine = (struct machine){
        .uart = true,
        .pci = !mmio,
        .id = modern ? 0x10431af4 : 0x10031af4,
        .list = modern,
        .subsystem = 0x00031af4,
        .bar = BASE | 1,
        .command = 0xffff0000,
        .line = 11,
        .type = 3,
        .sizes = {128, 128},
        .memory_left = sizeof(memory) - 4096,
    };
    if (change)
        change();
    vmi__virtio_console = interrupts = false;
    console = (struct vmi__virtio){0};
    on_mmio = (struct vmi__virtio_mmio){0};
    sides[RECEIVE].with_device = sides[TRANSMIT].with_device = 0;
    held.length = 0;
    memset(bar, 0, sizeof(bar));
    /* Both halves of the features read the same: bit 0 of the upper one is VERSION_1. */
    set_register(COMMON_PART, OFFERED, 1, 4);
    set_register(COMMON_PART, SIZE, machine.sizes[RECEIVE], 2);
    set_register(NOTIFY_PART, 0, NOBODY, 2);
    if (mmio) {
        memset(bar, 0, sizeof(bar));
        set_register(COMMON_PART, MAGIC, MAGIC_VALUE, 4);
        set_register(COMMON_PART, VERSION, 2, 4);
        set_register(COMMON_PART, TYPE, machine.type, 4);
        set_register(COMMON_PART, MMIO_OFFERED, 1, 4);
        set_register(COMMON_PART, MMIO_MOST, machine.sizes[RECEIVE], 4);
        set_register(COMMON_PART, MMIO_NOTIFY, NOBODY, 4);
    }
    say(option);
    sent_bytes = uart_bytes = 0;
    fatal = 0;
    memset(memory, GUARD, sizeof(memory));
    for (uint32_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7 + i / 256);
    if (!__builtin_setjmp(refused))
        vmi__native_console_init();
    if (has_modern() && vmi__native_virtio())
        note(TRANSMIT);
    works();
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

BY_EITHER(carries_both_ways)
{
    char read[sizeof(text)];
    uint32_t typed = 0, done = 0, rounds;

    start("virtio quiet", 0);
    EXPECT(vmi__native_virtio() && status() == (modern ? 15 : 7));
    EXPECT(machine.command == (MEMORY | MASTER | NO_LINE | (modern ? 0 : IO)));
    EXPECT(vmi__native_console_line() == 11);
    EXPECT(write(text, 0) == 0);
    EXPECT(vmi__native_console_read(read, sizeof(read)) == 0);
    /* Indices pass 2^16 on the way. */
    for (rounds = 0; rounds < 70000; rounds++) {
        sent_bytes = 0;
        EXPECT(write(text + rounds % 4096, 1) == 1);
        EXPECT(sent_bytes == 1 && sent[0] == text[rounds % 4096]);
        EXPECT(type(text + rounds % 4096, 1) == 1);
        EXPECT(vmi__native_console_read(read, 2) == 1 && read[0] == text[rounds % 4096]);
    }
    sent_bytes = 0;
    machine.notified = 0;
    EXPECT(write(text, sizeof(text)) == sizeof(text));
    EXPECT(sent_bytes == sizeof(text) && same(sent, text, sizeof(text)));
    EXPECT(machine.notified == 3);
    while (done < sizeof(text)) {
        typed += type(text + typed, sizeof(text) - typed);
        done += (uint32_t)vmi__native_console_read(read + done, done % 600 + 1);
    }
    EXPECT(typed == sizeof(text) && same(read, text, sizeof(text)));
    EXPECT(machine.resets == !modern && machine.strays == 0 && uart_bytes == 0);
    expect_memory_whole();
}

static void expect_uart(void)
{
    uint32_t kept = machine.accesses;
    char read[1];

    EXPECT(!vmi__native_virtio() && vmi__native_console_present());
    EXPECT(vmi__native_console_line() == VMI__LINE_UART);
    EXPECT(write(text, 100) == 100 && uart_bytes == 100);
    EXPECT(vmi__native_console_read(read, 1) == 0);
    EXPECT(machine.accesses == kept && machine.strays == 0 && sent_bytes == 0);
    expect_memory_whole();
}

static void is_not_looked_for_unasked(void)
{
    modern = false;
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
    machine.id = modern ? 0x10421af4 : 0x10401af4;
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
    machine.memory_left = 3 * 4096;
}

static void without_list(void)
{
    machine.list = false;
}

static void without_window(void)
{
    machine.no_window = true;
}

static void what_is_no_console_is_left_alone(void)
{
    static const struct {
        void (*change)(void);
        bool modern;
    } cases[] = {
        {without_pci, false},     {other_device, false},  {other_subsystem, false},
        {memory_bar, false},      {no_bar, false},        {bar_at_the_end, false},
        {bar_above_ports, false}, {never_reset, false},   {no_memory, false},
        {memory_for_one, false},  {without_pci, true},    {other_device, true},
        {without_list, true},     {without_window, true}, {no_memory, true},
        {memory_for_one, true},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        modern = cases[i].modern;
        start("virtio", cases[i].change);
        expect_uart();
        EXPECT(status() == 0 && !(machine.command & MASTER));
    }
}

static void transitional(void)
{
    machine.id = 0x10031af4;
}

static void transitional_without_window(void)
{
    transitional();
    without_window();
}

/* A device that has both interfaces is used by the modern one, where its registers are mapped. */
static void modern_comes_first(void)
{
    modern = true;
    start("virtio", transitional);
    EXPECT(vmi__native_virtio() && status() == 15 && machine.status == 0);
    EXPECT(write(text, 10) == 10 && sent_bytes == 10);
    start("virtio", transitional_without_window);
    EXPECT(vmi__native_virtio() && status() == 7);
    EXPECT(write(text, 10) == 10 && sent_bytes == 10);
}

static void disk_by_mmio(void)
{
    machine.type = 2;
}

static void is_found_by_mmio(void)
{
    char read[10];

    modern = mmio = true;
    start("virtio", 0);
    EXPECT(vmi__native_virtio() && status() == 15 && vmi__native_console_line() == 7);
    vmi__native_console_interrupts();
    EXPECT(write(text, 5000) == 5000 && sent_bytes == 5000 && same(sent, text, 5000));
    EXPECT(type(text, 10) == 10);
    EXPECT(vmi__native_console_read(read, 10) == 10 && same(read, text, 10));
    machine.fault = NO_BUFFER;
    EXPECT(write(text, 5000) == 5000 && !vmi__native_virtio() && status() == 0);
    expect_memory_whole();
    start("virtio", disk_by_mmio);
    expect_uart();
    mmio = false;
}

static uint32_t size_to_try, queue_to_try;

static void other_size(void)
{
    machine.sizes[queue_to_try] = size_to_try;
}

BY_EITHER(queues_may_have_any_lawful_size)
{
    for (queue_to_try = RECEIVE; queue_to_try <= TRANSMIT; queue_to_try++) {
        for (size_to_try = 4; size_to_try <= 1024; size_to_try *= 2) {
            char read[3];

            start("virtio", other_size);
            for (uint32_t round = 0; round < 3000; round++) {
                EXPECT(write(text, 3) == 3);
                EXPECT(type(text, 3) == 3);
                EXPECT(vmi__native_console_read(read, 3) == 3 && same(read, text, 3));
            }
            EXPECT(vmi__native_virtio() && sent_bytes == 9000);
            expect_memory_whole();
        }
    }
}

BY_EITHER(absurd_sizes_are_none)
{
    static const uint16_t sizes[] = {0, 3, 129, 0xffff, 2048, 0x8000};
    /* By the modern interface a ring is no larger than is wanted; and these are lawful. */
    uint32_t count = sizeof(sizes) / sizeof(sizes[0]) - (modern ? 2 : 0);

    for (queue_to_try = RECEIVE; queue_to_try <= TRANSMIT; queue_to_try++) {
        for (uint32_t i = 0; i < count; i++) {
            size_to_try = sizes[i];
            start("virtio", other_size);
            expect_uart();
            EXPECT(status() == 0);
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
    EXPECT(write(text, 10) == 10);
    machine.fault = fault;
    EXPECT(write(text + 10, sizeof(text) - 10) == sizeof(text) - 10);
    EXPECT(!vmi__native_virtio() && status() == 0);
    EXPECT(sent_bytes == 10 + 4096 && same(sent, text, sent_bytes));
    EXPECT(uart_bytes == sizeof(text) - sent_bytes);
    EXPECT(same(sent_by_uart, text + sent_bytes, uart_bytes));
    expect_memory_whole();
    uart_bytes = sent_bytes = 0;
    expect_uart();
}

BY_EITHER(output_survives_a_wrong_index)
{
    writes_despite(INDEX_AHEAD);
    writes_despite(INDEX_BEHIND);
}

BY_EITHER(output_survives_a_wrong_buffer)
{
    writes_despite(OTHER_BUFFER);
    writes_despite(NO_BUFFER);
}

BY_EITHER(output_survives_silence)
{
    writes_despite(SILENT);
}

BY_EITHER(without_another_console_there_is_none_left)
{
    start("virtio", 0);
    machine.uart = false;
    machine.fault = NO_BUFFER;
    EXPECT(write(text, sizeof(text)) == 4096);
    EXPECT(write(text, sizeof(text)) == VMI_EIO);
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
    EXPECT(!vmi__native_virtio() && status() == 0);
    for (uint32_t i = fault == TOO_LONG || fault == EMPTY ? 100 : 2100; i < sizeof(read); i++)
        EXPECT(read[i] == GUARD);
    expect_memory_whole();
    uart_bytes = 0;
    expect_uart();
}

BY_EITHER(input_survives_a_wrong_index)
{
    reads_despite(INDEX_AHEAD);
    reads_despite(INDEX_BEHIND);
}

BY_EITHER(input_survives_a_wrong_buffer)
{
    reads_despite(NO_BUFFER);
    start("virtio", 0);
    EXPECT(type(text, 1) == 1);
    EXPECT(type(text, 1) == 1);
    used(RECEIVE)->ring[1].id = used(RECEIVE)->ring[0].id;
    EXPECT(vmi__native_console_read(memory, 1) == 1);
    /* The first is with the device again: this may be it. */
    EXPECT(vmi__native_virtio());
    used(RECEIVE)->ring[1].id = 4;
    EXPECT(vmi__native_console_read(memory, 1) == 0 && !vmi__native_virtio());
}

BY_EITHER(a_buffer_is_taken_once)
{
    char read[2];

    start("virtio", 0);
    EXPECT(type(text, 2) == 2);
    EXPECT(type(text, 2) == 2);
    /* Half of the first is held, and the second pretends to be it. */
    EXPECT(vmi__native_console_read(read, 1) == 1);
    used(RECEIVE)->ring[1].id = held.id;
    EXPECT(!take_received() && !vmi__native_virtio());
}

BY_EITHER(input_survives_a_wrong_length)
{
    reads_despite(TOO_LONG);
    reads_despite(EMPTY);
}

/* The line is lowered before the buffers are looked at, and not where there is nothing new. */
static void lowers_its_line(void)
{
    char read[10];

    modern = false;
    start("virtio", 0);
    type(text, 10);
    EXPECT(vmi__native_console_read(read, 10) == 10 && machine.acknowledged == 0);
    EXPECT(machine.command & NO_LINE);
    vmi__native_console_interrupts();
    EXPECT(!(machine.command & NO_LINE));
    EXPECT(vmi__native_console_read(read, 10) == 0 && machine.acknowledged == 0);
    type(text, 10);
    EXPECT(vmi__native_console_read(read, 5) == 5 && machine.acknowledged == 1);
    EXPECT(vmi__native_console_read(read, 5) == 5 && machine.acknowledged == 1);
    EXPECT(!machine.interrupt);
    type(text, 10);
    vmi__native_virtio_acknowledge();
    EXPECT(!machine.interrupt);
}

BY_EITHER(waits_at_the_end)
{
    start("virtio", 0);
    machine.fault = SILENT;
    EXPECT(write(text, 10) == 10);
    vmi__native_console_drain();
    EXPECT(vmi__native_virtio() && sides[TRANSMIT].with_device);
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
    CHECK(modern_comes_first),
    CHECK(is_found_by_mmio),
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
