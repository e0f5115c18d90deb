/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel with its own entry, linker script and direct map: it is loaded by Limine, anywhere, and
 * takes a VMI library along by one call, Attach. What follows is what any kernel does: memory, an
 * interrupt, a device, another CPU. docs/own-entry.md goes through it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <vmi/vmi.h>

#include "interrupts.h"
#include "limine.h"

#define PAGE_SIZE 4096u

/* The first I/O APIC: an index, and a window to what it names (82093AA, 3.1). */
#define IOAPIC_BASE    0xfec00000u
#define IOAPIC_WINDOW  0x10
#define IOAPIC_VERSION 1 /* bits 16-23: one less than it has inputs */

#define EFER_NXE 0x800u

#define CODE 0x08
#define DATA 0x10

/* limine.ld */
extern char image_start[], image_end[];

void start(void);

/* ---- requests ---- */

#define REQUEST(name, number)                                                                      \
    static struct limine_request name                                                              \
        __attribute__((section(".requests"), used, aligned(8))) = {.id = number}

static const uint64_t requests_start[]
    __attribute__((section(".requests.start"), used)) = {LIMINE_START};
static const uint64_t requests_end[] __attribute__((section(".requests.end"), used)) = {LIMINE_END};
/* The last word becomes 0 if the loader knows that revision. */
static volatile uint64_t base_revision[]
    __attribute__((section(".requests"), used)) = {LIMINE_BASE_REVISION, 3};

#define ID(...) __VA_ARGS__
REQUEST(loader_request, ID(LIMINE_LOADER));
REQUEST(command_line_request, ID(LIMINE_COMMAND_LINE));
REQUEST(direct_map_request, ID(LIMINE_DIRECT_MAP));
REQUEST(memory_map_request, ID(LIMINE_MEMORY_MAP));
REQUEST(address_request, ID(LIMINE_ADDRESS));
REQUEST(rsdp_request, ID(LIMINE_RSDP));

/* ---- telling ---- */

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

static void print_hex(const char *name, uint64_t number)
{
    char text[] = " 0x0000000000000000";

    for (uint32_t i = 0; i < 16; i++)
        text[3 + i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    print(name);
    print(text);
    print("\r\n");
}

static void __attribute__((noreturn)) end(const char *text, uint32_t status)
{
    print(text);
    print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, status);
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            end("not so: " #condition, VMI_STATUS_FAIL);                                           \
    } while (0)

/* ---- attaching ---- */

#define RANGES_MAX 256

/* What the library calls a kind of memory of Limine's. The image is the library's to mark. */
static uint32_t kind_of(uint64_t kind)
{
    switch (kind) {
    case LIMINE_USABLE:
        return VMI_MEMORY_USABLE;
    case LIMINE_ACPI:
        return VMI_MEMORY_ACPI;
    case LIMINE_NVS:
        return VMI_MEMORY_NVS;
    case LIMINE_BAD:
        return VMI_MEMORY_UNUSABLE;
    case LIMINE_LOADERS:
        return VMI_MEMORY_BOOT;
    default:
        return VMI_MEMORY_RESERVED;
    }
}

static const struct vmi_boot_info *attach(void)
{
    static struct vmi_memory_range ranges[RANGES_MAX];
    static struct vmi_attach_info facts = {
        .magic = VMI_ATTACH_MAGIC,
        .version = VMI_ATTACH_VERSION,
        .size = sizeof(facts),
        .memory = ranges,
    };
    const struct limine_direct_map *direct_map = direct_map_request.response;
    const struct limine_memory_map *map = memory_map_request.response;
    const struct limine_address *address = address_request.response;
    const struct limine_loader *loader = loader_request.response;
    const struct limine_command_line *command_line = command_line_request.response;
    const struct limine_rsdp *rsdp = rsdp_request.response;
    const struct vmi_boot_info *boot;

    /* Without these nothing can be told to anybody. */
    if (!direct_map || !map || !address)
        for (;;)
            ;
    for (uint64_t i = 0; i < map->count && i < RANGES_MAX; i++) {
        const struct limine_range *range = map->ranges[i];

        ranges[i].base = range->base;
        ranges[i].size = range->size;
        ranges[i].kind = kind_of(range->kind);
        facts.memory_count++;
    }
    facts.linear_base = direct_map->offset;
    facts.image = address->linear;
    facts.image_size = (uintptr_t)(image_end - image_start);
    facts.image_base = address->physical;
    facts.loader = loader ? loader->name : "";
    facts.command_line = command_line ? command_line->text : "";
    facts.acpi_root = rsdp ? rsdp->address : 0;
    if (vmi_attach(&facts, &boot) != VMI_OK)
        for (;;)
            ;
    EXPECT(vmi_attach(&facts, &boot) == VMI_EBUSY);
    return boot;
}

/* ---- descriptors and interrupts ---- */

static uint64_t gdt[3] __attribute__((aligned(4096))) = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
static uint64_t idt[2 * 256] __attribute__((aligned(4096)));

/* A gate of 16 bytes (Intel SDM vol. 3A, 6.14.1). */
static void set_gate(uint32_t vector, void (*entry)(void), uint32_t selector)
{
    uint64_t address = (uintptr_t)entry;
    uint64_t low = (address & 0xffff) | (uint64_t)selector << 16 | 0x8e00ull << 32 |
                   (address >> 16 & 0xffff) << 48;

    vmi_write_idt_entry(idt, vector, low, address >> 32);
}

static void take_an_alarm(const struct vmi_boot_info *boot)
{
    struct vmi_dtr dtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

    vmi_set_idt(&dtr);
    set_gate(VECTOR_ALARM, interrupt_entry, boot->kernel_cs);
    vmi_apic_write(VMI_APIC_LVTT, VECTOR_ALARM);
    vmi_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_ONESHOT | VMI_CYCLES_REAL,
                  vmi_get_cycle_counter(VMI_CYCLES_REAL) + vmi_get_cycle_frequency() / 100, 0);
    while (!alarms)
        vmi_halt();
    vmi_disable_interrupts();
    print("an alarm went off\r\n");
}

/* ---- memory and devices ---- */

/* Every usable page's first word, by the direct map: each is another page. */
static void use_memory(const struct vmi_boot_info *boot)
{
    uint64_t pages = 0;

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < boot->memory_count; i++) {
            const struct vmi_memory_range *range = &boot->memory[i];

            if (range->kind != VMI_MEMORY_USABLE)
                continue;
            for (uint64_t at = range->base; at < range->base + range->size; at += PAGE_SIZE) {
                volatile uint64_t *word = (volatile uint64_t *)(at + boot->linear_base);

                if (round == 0)
                    *word = at;
                else
                    EXPECT(*word == at);
                pages += round;
            }
        }
    }
    print_hex("usable pages:", pages);
}

static void use_a_device(void)
{
    void *registers;

    EXPECT(vmi_map_device(IOAPIC_BASE, PAGE_SIZE, VMI_CACHE_UNCACHED, &registers) == VMI_OK);
    *(volatile uint32_t *)registers = IOAPIC_VERSION;
    EXPECT((*(volatile uint32_t *)((char *)registers + IOAPIC_WINDOW) >> 16 & 0xff) >= 15);
    EXPECT(vmi_unmap_device((uintptr_t)registers) == VMI_OK);
    EXPECT(vmi_map_device((uintptr_t)image_start, PAGE_SIZE, 0, &registers) == VMI_EINVAL);
    print("a device was mapped\r\n");
}

/* ---- another CPU ---- */

static uint64_t second_area[VMI_PERCPU_SIZE / 8] __attribute__((aligned(16)));
static uint8_t second_stack[16384] __attribute__((aligned(16)));
static volatile uint32_t second_number;

static void __attribute__((noreturn)) second_cpu(void)
{
    second_number = vmi_current_cpu();
    for (;;) {
        vmi_disable_interrupts();
        vmi_yield();
    }
}

static void start_another_cpu(const struct vmi_boot_info *boot)
{
    struct vmi_ap_state state = {
        .cr0 = vmi_get_cr0(),
        .cr3 = vmi_get_cr3(),
        .cr4 = vmi_get_cr4(),
        .efer = EFER_NXE,
        .rip = (uintptr_t)second_cpu,
        .rflags = 2,
        .rsp = (uintptr_t)(second_stack + sizeof(second_stack) - 8),
        .gs_base = (uintptr_t)second_area,
        .cs = CODE,
        .ss = DATA,
        .ds = DATA,
        .es = DATA,
        .gdtr_limit = sizeof(gdt) - 1,
        .gdtr_base = (uintptr_t)gdt,
        .idtr_limit = sizeof(idt) - 1,
        .idtr_base = (uintptr_t)idt,
    };
    uint64_t started = vmi_clock_nanoseconds();

    if (boot->cpu_count == 1) {
        print("there is one CPU\r\n");
        return;
    }
    EXPECT(vmi_set_initial_ap_state(&state, boot->cpus[1].apic_id) == VMI_OK);
    while (!second_number)
        EXPECT(vmi_clock_nanoseconds() - started < 60000000000ull);
    EXPECT(second_number == 1);
    print("another CPU runs\r\n");
}

/* Limine enters here, with paging on, interrupts masked and 64 KiB of stack. */
void start(void)
{
    const struct vmi_boot_info *boot = attach();

    print("attached by the library for ");
    print(boot->backend);
    print(", loaded by ");
    print(boot->loader);
    print(" with: ");
    print(boot->command_line);
    print("\r\n");
    print_hex("image:", (uintptr_t)image_start);
    print_hex("direct map:", boot->linear_base);
    EXPECT(boot->protocol == VMI_BOOT_ATTACHED);
    EXPECT(vmi_current_cpu() == 0);
    EXPECT(base_revision[2] == 0);
    use_memory(boot);
    take_an_alarm(boot);
    use_a_device();
    start_another_cpu(boot);
    end("all went well", VMI_STATUS_PASS);
}
