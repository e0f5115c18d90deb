/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a kernel does first, on hardware and on every hypervisor, i386 or x86-64: an IDT of its own,
 * an alarm, and a page mapped where nothing was. docs/quick-start.md walks through it.
 */
#include <stdint.h>
#include <vmi/vmi.h>

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length] != 0)
        length++;
    vmi_console_write(text, length);
}

static void __attribute__((noreturn)) stop(const char *text, uint32_t status)
{
    print(text);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, status);
}

/* ---- interrupts ---- */

#define VECTORS      256
#define EXCEPTIONS   32
#define VECTOR_ALARM 0x40

#define INTERRUPT_GATE 0x8e00u /* present, for the kernel alone (Intel SDM vol. 3A, 6.11) */

/* A gate has 8 bytes on i386 and 16 on x86-64. */
static uint32_t idt[VECTORS][sizeof(uintptr_t) / 2] __attribute__((aligned(4096)));
static volatile uint32_t alarms;

/* Where interrupts enter, and what they call. */
void alarm_entry(void);
void fault_entry(void);
void on_alarm(void);
void on_fault(void);

/*
 * What C cannot say: keeps the registers that C may destroy, calls, and returns by IRET, which is a
 * jump to the library with the interrupt's frame on the stack. On x86-64 the pushes and the frame
 * leave the stack 8 bytes from a boundary of 16. fault_entry does not come back.
 */
#ifdef __x86_64__
__asm__("alarm_entry:\n"
        "    push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"
        "    push %r8; push %r9; push %r10; push %r11; sub $8, %rsp\n"
        "    cld\n"
        "    call on_alarm\n"
        "    add $8, %rsp; pop %r11; pop %r10; pop %r9; pop %r8\n"
        "    pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
        "    jmp vmi_iret\n"
        "fault_entry:\n"
        "    cld\n"
        "    and $-16, %rsp\n"
        "    call on_fault\n");
#else
__asm__("alarm_entry:\n"
        "    push %eax; push %ecx; push %edx\n"
        "    cld\n"
        "    call on_alarm\n"
        "    pop %edx; pop %ecx; pop %eax\n"
        "    jmp vmi_iret\n"
        "fault_entry:\n"
        "    cld\n"
        "    and $-16, %esp\n"
        "    call on_fault\n");
#endif

void on_alarm(void)
{
    alarms++;
    vmi_end_of_interrupt(VECTOR_ALARM);
}

void on_fault(void)
{
    stop("an exception\r\n", VMI_STATUS_PANIC);
}

static void set_gate(uint32_t vector, void (*entry)(void), uint32_t selector)
{
    uintptr_t address = (uintptr_t)entry;

    idt[vector][0] = selector << 16 | (address & 0xffff);
    idt[vector][1] = (address & 0xffff0000u) | INTERRUPT_GATE;
#ifdef __x86_64__
    idt[vector][2] = (uint32_t)(address >> 32);
#endif
}

static void load_idt(const struct vmi_boot_info *boot)
{
    const struct vmi_dtr dtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

    for (uint32_t vector = 0; vector < EXCEPTIONS; vector++)
        set_gate(vector, fault_entry, boot->kernel_cs);
    set_gate(VECTOR_ALARM, alarm_entry, boot->kernel_cs);
    vmi_set_idt(&dtr);
    print("the IDT is loaded\r\n");
}

/* Eight alarms a second, until three have come. */
static void take_alarms(void)
{
    uint64_t period = vmi_get_cycle_frequency() >> 3;

    vmi_apic_write(VMI_APIC_LVTT, VECTOR_ALARM);
    vmi_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_PERIODIC | VMI_CYCLES_REAL,
                  vmi_get_cycle_counter(VMI_CYCLES_REAL) + period, period);
    while (alarms < 3) {
        /* Lets interrupts in and waits for one; afterwards they are kept out again. */
        vmi_halt();
        vmi_disable_interrupts();
    }
    vmi_cancel_alarm(VMI_ALARM_WIRED_LVTT);
    print("three alarms have gone off\r\n");
}

/* ---- memory ---- */

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1u << PAGE_SHIFT)
#define LEVEL_BITS 9
#define ENTRIES    (1u << LEVEL_BITS)
#define PRESENT    0x001u
#define WRITE      0x002u
#define FRAME      0x000ffffffffff000ull

/* An address that nothing is mapped at when the kernel begins. */
#define NEW_PAGE 0x40000000u

/* The kinds of table from the root down, and the address bit from which the root is indexed. */
#ifdef __x86_64__
#define ROOT_SHIFT 39
#define ROOT_BITS  (PRESENT | WRITE)
static const uint32_t kinds[] = {VMI_PAGE_PML4, VMI_PAGE_PDP, VMI_PAGE_PD, VMI_PAGE_PT};
#else
#define ROOT_SHIFT 30
#define ROOT_BITS                                                                                  \
    PRESENT /* PAE has no others there; the processor reads them when CR3 is loaded                \
             */
static const uint32_t kinds[] = {VMI_PAGE_PDP, VMI_PAGE_PD, VMI_PAGE_PT};
#endif
#define LEVELS (sizeof(kinds) / sizeof(kinds[0]))

/* A frame of memory, by the address at which all memory is mapped. */
static uint64_t *frame_at(const struct vmi_boot_info *boot, uint64_t address)
{
    return (uint64_t *)(uintptr_t)(boot->linear_base + (uintptr_t)address);
}

/* Takes frames from the top of the largest usable range that is mapped; they are zeroed. */
static uint64_t take_frame(const struct vmi_boot_info *boot)
{
    static uint64_t first, end;
    uint64_t *words;

    for (uint32_t i = 0; !end && i < boot->memory_count; i++) {
        const struct vmi_memory_range *range = &boot->memory[i];
        uint64_t limit = (uint64_t)boot->linear_pages << PAGE_SHIFT,
                 last = range->base + range->size;

        if (range->kind != VMI_MEMORY_USABLE || range->size < 16 * PAGE_SIZE)
            continue;
        first = range->base;
        end = last < limit ? last : limit;
    }
    if (end < first + PAGE_SIZE)
        stop("no memory\r\n", VMI_STATUS_FAIL);
    end -= PAGE_SIZE;
    words = frame_at(boot, end);
    for (uint32_t i = 0; i < ENTRIES; i++)
        words[i] = 0;
    return end;
}

/* Writes an entry of a table of that kind. The library may turn it into a hypercall. */
static void set_entry(uint64_t *entry, uint64_t value, uint32_t kind)
{
#ifdef __x86_64__
    vmi_set_pxe_long(value, entry, kind);
#else
    vmi_set_pxe_long((uint32_t)value, (uint32_t)(value >> 32), entry, kind);
#endif
}

/* Maps a frame at an address, in the tables that the kernel began with. */
static void map(const struct vmi_boot_info *boot, uintptr_t address, uint64_t frame)
{
    uint64_t table = boot->boot_cr3;
    uint32_t shift = ROOT_SHIFT;

    for (uint32_t level = 0;; level++, shift -= LEVEL_BITS) {
        uint64_t *entry = &frame_at(boot, table)[address >> shift & (ENTRIES - 1)];

        if (level == LEVELS - 1) {
            set_entry(entry, frame | PRESENT | WRITE, kinds[level]);
            break;
        }
        if (!(*entry & PRESENT)) {
            uint64_t below = take_frame(boot);

            /* First it becomes a table, then an entry names it. */
            vmi_allocate_page((uint32_t)(below >> PAGE_SHIFT),
                              kinds[level + 1] | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
            set_entry(entry, below | (level ? PRESENT | WRITE : ROOT_BITS), kinds[level]);
        }
        /* What is read back may hold a machine's frame. */
        table = vmi_machine_to_physical(*entry) & FRAME;
    }
#ifndef __x86_64__
    vmi_set_cr3(boot->boot_cr3);
#endif
}

static void map_a_page(const struct vmi_boot_info *boot)
{
    uint64_t frame = take_frame(boot);
    volatile uint32_t *page = (volatile uint32_t *)NEW_PAGE;

    map(boot, NEW_PAGE, frame);
    *page = 0x5eed;
    if (*(volatile uint32_t *)frame_at(boot, frame) != 0x5eed)
        stop("the page is another\r\n", VMI_STATUS_FAIL);
    print("a page is mapped\r\n");
}

/* The library calls this, with paging on and interrupts masked. */
void kernel_main(const struct vmi_boot_info *boot)
{
    load_idt(boot);
    take_alarms();
    map_a_page(boot);
    stop("done\r\n", VMI_STATUS_PASS);
}
