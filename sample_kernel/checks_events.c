/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sources of events: kept back, let go, sent to another CPU; inputs and messages of a PC's devices.
 */
#include <stddef.h>

#include "checks.h"
#include "layout.h"
#include "paging.h"
#include "pci.h"
#include "smp.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define ALARM       (VMI_ALARM_WIRED_IRQ0 | VMI_CYCLES_REAL)
#define PIC_COMMAND 0x20 /* read: the interrupt request register (Intel 8259A data sheet, OCW3) */

static volatile uint32_t came, came_to;
static int32_t line = VMI_ENOENT;

static void note(struct trap_frame *frame)
{
    came_to = vmi_current_cpu();
    came++;
    vmi_end_of_interrupt(frame->vector);
}

/* ---- interrupt line 0, which an alarm raises ---- */

#define NEEDS_LINE()                                                                               \
    do {                                                                                           \
        if (!bind_line()) {                                                                        \
            ktap_skip("there are no interrupt lines");                                             \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static bool bind_line(void)
{
    if (line < 0 && call_unsupported(VMI_ORDINAL_EVENT_BIND) == NULL) {
        trap_handler_set(VECTOR_LINE, note);
        line = vmi_event_bind(VMI_EVENT_IRQ, 0, VECTOR_LINE);
    }
    return line >= 0;
}

static void raise_line(void)
{
    vmi_set_alarm(ALARM, vmi_get_cycle_counter(VMI_CYCLES_REAL) + timer_cycles(1000), 0);
}

/* The line is raised, and `times` is what has come by then. */
static bool line_comes(uint32_t times)
{
    raise_line();
    return wait_for_count(&came, times, PATIENCE_MILLISECONDS);
}

/* A line and a message do not have the same vector, whichever was first. */
static void not_mixed(void)
{
    NEEDS_LINE();
    NEEDS(EVENT_MESSAGE);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_MSI, 0, VECTOR_LINE), VMI_EBUSY);
    int32_t event = vmi_event_bind(VMI_EVENT_MSI, 0, VECTOR_DEVICE);
    EXPECT(event >= 0);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_IRQ, 10, VECTOR_DEVICE), VMI_EBUSY);
    int32_t more = vmi_event_bind(VMI_EVENT_MSI, 0, VECTOR_DEVICE);
    EXPECT(more >= 0);
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)event), VMI_OK);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_IRQ, 10, VECTOR_DEVICE), VMI_EBUSY);
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)more), VMI_OK);
}

/* A PC without one: where nothing answers, all bits are read as set, and requests never all are. */
static bool lacks_8259(void)
{
    return call_unsupported(VMI_ORDINAL_INB) == NULL && vmi_inb(PIC_COMMAND) == 0xff;
}

static void masked(void)
{
    NEEDS_LINE();
    NEEDS(EVENT_MASK);
    came = 0;
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)line), VMI_OK);
    EXPECT(line_comes(1));
    EXPECT_EQUAL(vmi_event_mask((uint32_t)line), VMI_OK);
    raise_line();
    spin_milliseconds(20);
    EXPECT_EQUAL(came, 1);
    /* What came meanwhile comes now, and once. The handler may be entered once more where there is
     * no 8259, so that no library can tell whether something has come. */
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)line), VMI_OK);
    EXPECT(wait_for_count(&came, 2, PATIENCE_MILLISECONDS));
    spin_milliseconds(5);
    uint32_t entered = came;
    EXPECT(entered == 2 || (entered == 3 && lacks_8259()));
    EXPECT(line_comes(entered + 1));
}

static void moved(void)
{
    NEEDS_LINE();
    NEEDS(EVENT_MOVE);
    if (!(smp_online() & 2)) {
        ktap_skip("one CPU");
        return;
    }
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)line), VMI_OK);
    EXPECT_EQUAL(vmi_event_move((uint32_t)line, checks_boot_info->cpu_count), VMI_EINVAL);
    int32_t result = vmi_event_move((uint32_t)line, 1);
    if (result == VMI_ENOSYS) {
        ktap_skip("lines reach the first CPU only");
        return;
    }
    EXPECT_EQUAL(result, VMI_OK);
    came = 0;
    bool arrived = line_comes(1);
    uint32_t there = came_to;
    result = vmi_event_move((uint32_t)line, 0);
    EXPECT(arrived);
    EXPECT_EQUAL(there, 1);
    EXPECT_EQUAL(result, VMI_OK);
    EXPECT(line_comes(2));
    EXPECT_EQUAL(came_to, 0);
}

static void unbound(void)
{
    NEEDS_LINE();
    NEEDS(EVENT_UNBIND);
    uint32_t event = (uint32_t)line;
    EXPECT_EQUAL(vmi_event_unmask(event), VMI_OK);
    came = 0;
    EXPECT(line_comes(1));
    line = VMI_ENOENT;
    EXPECT_EQUAL(vmi_event_unbind(event), VMI_OK);
    raise_line();
    spin_milliseconds(20);
    EXPECT_EQUAL(came, 1);
    vmi_cancel_alarm(ALARM);
    EXPECT_EQUAL(vmi_event_unmask(event), VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_unbind(event), VMI_EINVAL);
    /* It is as free as at first. */
    EXPECT(bind_line());
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)line), VMI_OK);
    EXPECT(line_comes(2));
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)line), VMI_OK);
    line = VMI_ENOENT;
}

/* ---- a device of a PC: QEMU's teaching device (docs/specs/edu), if there is one ---- */

#define EDU_ID     0x11e81234
#define EDU_STATUS 0x24
#define EDU_RAISE  0x60 /* what is written is or'ed with the status, which raises the interrupt */
#define EDU_LOWER  0x64

static uint32_t device;
static volatile uint32_t *registers;

#define NEEDS_DEVICE()                                                                             \
    do {                                                                                           \
        NEEDS(EVENT_BIND);                                                                         \
        NEEDS(INL);                                                                                \
        NEEDS(OUTL);                                                                               \
        device = pci_find(EDU_ID);                                                                 \
        if (device == PCI_NONE) {                                                                  \
            ktap_skip("the device for this is not there");                                         \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void map_registers(void)
{
    uint32_t base = pci_read(device, PCI_BAR0) & ~0xfu;

    pci_write(device, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    window_map(MAP_WINDOW, base >> PAGE_SHIFT, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
    registers = (volatile uint32_t *)MAP_WINDOW;
}

static void unmap_registers(void)
{
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    smp_flush_tlb(smp_online(), MAP_WINDOW, 1);
}

static void note_device(struct trap_frame *frame)
{
    registers[EDU_LOWER / 4] = registers[EDU_STATUS / 4];
    note(frame);
}

static bool device_interrupts(uint32_t times)
{
    registers[EDU_RAISE / 4] = 1;
    return wait_for_count(&came, times, PATIENCE_MILLISECONDS);
}

/* Several messages for one device; the device writes what it was last told. */
static void message(void)
{
    struct vmi_message first, second;

    NEEDS_DEVICE();
    NEEDS(EVENT_MESSAGE);
    int32_t events[2];
    for (uint32_t i = 0; i < 2; i++) {
        events[i] = vmi_event_bind(VMI_EVENT_MSI, device, VECTOR_DEVICE + i);
        EXPECT(events[i] >= 0);
        EXPECT_EQUAL(vmi_event_unmask((uint32_t)events[i]), VMI_OK);
        trap_handler_set(VECTOR_DEVICE + i, note_device);
    }
    EXPECT_EQUAL(vmi_event_message((uint32_t)events[0], &first), VMI_OK);
    EXPECT_EQUAL(vmi_event_message((uint32_t)events[1], &second), VMI_OK);
    EXPECT(first.address != second.address || first.data != second.data);
    map_registers();
    came = 0;
    pci_message(device, &first);
    bool one = device_interrupts(1);
    pci_message(device, &second);
    bool two = device_interrupts(2);
    bool there = true;
    if (smp_online() & 2) {
        EXPECT_EQUAL(vmi_event_move((uint32_t)events[1], 1), VMI_OK);
        EXPECT_EQUAL(vmi_event_message((uint32_t)events[1], &second), VMI_OK);
        pci_message(device, &second);
        there = device_interrupts(3) && came_to == 1;
    }
    pci_message(device, NULL);
    unmap_registers();
    EXPECT_EQUAL(vmi_event_mask((uint32_t)events[0]), VMI_ENOSYS);
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)events[0]), VMI_OK);
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)events[1]), VMI_OK);
    EXPECT_EQUAL(vmi_event_message((uint32_t)events[1], &second), VMI_EINVAL);
    EXPECT(one);
    EXPECT(two);
    EXPECT(there);
}

#define INPUT_FIRST 16 /* behind those of ISA's lines */
#define INPUTS      8

/*
 * The device's own line, by level. Which input it is wired to is told by AML, which nobody reads
 * here: all are bound, of which one is right.
 */
static void input(void)
{
    NEEDS_DEVICE();
    uint32_t isa = pci_read(device, PCI_INTERRUPT) & 0xff;
    int32_t events[INPUTS + 1];
    bool bound = true;
    for (uint32_t i = 0; i <= INPUTS; i++) {
        events[i] =
            vmi_event_bind(VMI_EVENT_GSI,
                           i < INPUTS ? (INPUT_FIRST + i) | VMI_GSI_LEVEL | VMI_GSI_ACTIVE_LOW
                                      : isa | VMI_GSI_LEVEL,
                           VECTOR_DEVICE);
        bound = bound && events[i] >= 0;
    }
    EXPECT(bound);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_GSI, INPUT_FIRST, VECTOR_DEVICE), VMI_EBUSY);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_GSI, 0xfffff, VECTOR_DEVICE), VMI_EINVAL);
    trap_handler_set(VECTOR_DEVICE, note_device);
    map_registers();
    for (uint32_t i = 0; i <= INPUTS; i++)
        vmi_event_unmask((uint32_t)events[i]);
    came = 0;
    bool one = device_interrupts(1), two = device_interrupts(2);
    /* By level it is still there when it is let in again. */
    for (uint32_t i = 0; i <= INPUTS; i++)
        vmi_event_mask((uint32_t)events[i]);
    registers[EDU_RAISE / 4] = 1;
    spin_milliseconds(5);
    uint32_t early = came;
    for (uint32_t i = 0; i <= INPUTS; i++)
        vmi_event_unmask((uint32_t)events[i]);
    bool late = wait_for_count(&came, 3, PATIENCE_MILLISECONDS);
    for (uint32_t i = 0; i <= INPUTS; i++)
        vmi_event_unbind((uint32_t)events[i]);
    unmap_registers();
    EXPECT(one);
    EXPECT(two);
    EXPECT_EQUAL(early, 2);
    EXPECT(late);
}

const struct check checks_events[] = {
    {"events.not_mixed", not_mixed},
    {"events.masked", masked},
    {"events.moved", moved},
    {"events.unbound", unbound},
    {"events.message", message},
    {"events.input", input},
    {NULL, NULL},
};
