/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sources: ACPI 6.5, 5.2.5 to 5.2.8; Intel SDM vol. 2A, CPUID. */
#include <stdbool.h>
#include <stddef.h>

#include "divide.h"
#include "machine.h"
#include "options.h"
#include "print.h"
#include "string.h"
#include "x86.h"

#define TABLES_MAX   64 /* more than that are not listed */
#define CPUS_SHOWN   64
#define DEVICES_MAX  32
#define LEAF_EXTEND  0x80000000u
#define LEAF_BELOW   0x40000000u
#define BELOW_LEAVES 0x100u /* from one hypervisor's leaves to those of the next one */

struct rsdp {
    char signature[8];
    uint8_t sum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
} __attribute__((packed));

struct header {
    char signature[4];
    uint32_t length;
    uint8_t revision, sum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

/* ---- processor ---- */

static void report_leaf(uint32_t leaf, uint32_t subleaf)
{
    uint32_t eax, ebx, ecx, edx;

    vmi_cpuid(leaf, subleaf, &eax, &ebx, &ecx, &edx);
    print("# cpuid %08x.%x %08x %08x %08x %08x\n", leaf, subleaf, eax, ebx, ecx, edx);
}

static uint32_t highest_leaf(uint32_t first)
{
    uint32_t eax, ignored;

    vmi_cpuid(first, 0, &eax, &ignored, &ignored, &ignored);
    return eax;
}

/* Those that say what the processor is and has; a leaf that it has not is not asked for. */
static void report_cpuid(void)
{
    static const struct {
        uint32_t leaf, subleaves;
    } leaves[] = {{0x0, 1}, {0x1, 1}, {0x5, 1},  {0x6, 1},  {0x7, 2}, {0xa, 1},
                  {0xb, 2}, {0xd, 2}, {0x15, 1}, {0x16, 1}, {0x1a, 1}};
    uint32_t last = highest_leaf(0), eax, ebx, ecx, edx;

    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]) && leaves[i].leaf <= last; i++)
        for (uint32_t subleaf = 0; subleaf < leaves[i].subleaves; subleaf++)
            report_leaf(leaves[i].leaf, subleaf);
    vmi_cpuid(1, 0, &eax, &ebx, &ecx, &edx);
    if (ecx >> 31) {
        last = highest_leaf(LEAF_BELOW);
        for (uint32_t leaf = LEAF_BELOW; leaf <= last && leaf <= LEAF_BELOW + 0x10; leaf++)
            report_leaf(leaf, 0);
        if (highest_leaf(LEAF_BELOW + BELOW_LEAVES) > LEAF_BELOW + BELOW_LEAVES)
            report_leaf(LEAF_BELOW + BELOW_LEAVES, 0);
    }
    last = highest_leaf(LEAF_EXTEND);
    for (uint32_t leaf = LEAF_EXTEND; leaf <= last && leaf <= LEAF_EXTEND + 8; leaf++)
        report_leaf(leaf, 0);
}

/* ---- memory ---- */

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [VMI_MEMORY_USABLE] = "usable",   [VMI_MEMORY_RESERVED] = "reserved",
        [VMI_MEMORY_ACPI] = "acpi",       [VMI_MEMORY_NVS] = "nvs",
        [VMI_MEMORY_UNUSABLE] = "faulty", [VMI_MEMORY_IMAGE] = "image",
        [VMI_MEMORY_BOOT] = "boot",       [VMI_MEMORY_MODULE] = "module",
        [VMI_MEMORY_LIBRARY] = "library"};

    return kind < sizeof(names) / sizeof(names[0]) && names[kind] ? names[kind] : "unknown";
}

static void report_memory(const struct vmi_boot_info *boot)
{
    for (uint32_t i = 0; i < boot->memory_count; i++)
        print("# memory base=0x%llx size=0x%llx kind=%s\n", WIDE(boot->memory[i].base),
              WIDE(boot->memory[i].size), kind_name(boot->memory[i].kind));
    for (uint32_t i = 0; i < boot->numa_count; i++)
        print("# node %u base=0x%llx size=0x%llx hot=%u\n", boot->numa[i].node,
              WIDE(boot->numa[i].base), WIDE(boot->numa[i].size), boot->numa[i].hot);
    print("# mapped base=0x%llx pages=%llu\n", WIDE(boot->linear_base), WIDE(boot->linear_pages));
}

static void report_cpus(const struct vmi_boot_info *boot)
{
    for (uint32_t i = 0; i < boot->cpu_count && i < CPUS_SHOWN; i++)
        if (boot->cpus[i].node == VMI_NODE_UNKNOWN)
            print("# cpu %u apic_id=%u\n", i, boot->cpus[i].apic_id);
        else
            print("# cpu %u apic_id=%u node=%u\n", i, boot->cpus[i].apic_id, boot->cpus[i].node);
}

/* ---- ACPI's tables, by name ---- */

/* Copies what lies at a guest-physical address; false if it cannot be mapped. */
static bool copy(void *to, uint64_t from, uint32_t size)
{
    uint64_t first = from & ~(uint64_t)(PAGE_SIZE - 1), end = from + size;
    void *mapped;

    if (end < from ||
        vmi_map_device(first,
                       (uintptr_t)((end - first + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1)),
                       VMI_CACHE_WRITE_BACK, &mapped) != VMI_OK)
        return false;
    memcpy(to, (const char *)mapped + (from - first), size);
    while (vmi_unmap_device((uintptr_t)mapped) == VMI_EAGAIN)
        ; /* no other CPU is there that could have it */
    return true;
}

/* What firmware has written, as text: other characters are points. */
static const char *named(char to[9], const char *from, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        to[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '.';
    to[length] = 0;
    return to;
}

static bool report_table(uint64_t address, struct header *header)
{
    char signature[9], oem[9], table[9];

    if (!copy(header, address, sizeof(*header))) {
        print("# acpi 0x%llx: cannot be mapped\n", WIDE(address));
        return false;
    }
    print("# acpi 0x%llx %s length=%u revision=%u oem=%s/%s\n", WIDE(address),
          named(signature, header->signature, 4), header->length, header->revision,
          named(oem, header->oem, 6), named(table, header->oem_table, 8));
    return true;
}

static void report_acpi(uint64_t root)
{
    struct header list, header;
    struct rsdp rsdp;

    if (root == 0) {
        print("# acpi none\n");
        return;
    }
    if (!copy(&rsdp, root, sizeof(rsdp))) {
        print("# acpi root=0x%llx cannot be mapped\n", WIDE(root));
        return;
    }
    bool wide = rsdp.revision >= 2 && rsdp.xsdt != 0;
    uint64_t address = wide ? rsdp.xsdt : rsdp.rsdt;
    uint32_t size = wide ? 8 : 4;
    print("# acpi root=0x%llx revision=%u\n", WIDE(root), rsdp.revision);
    if (!report_table(address, &list) || list.length < sizeof(list))
        return;
    uint32_t count = (list.length - (uint32_t)sizeof(list)) / size;
    for (uint32_t i = 0; i < count && i < TABLES_MAX; i++) {
        uint64_t table = 0;

        if (!copy(&table, address + sizeof(list) + (uint64_t)i * size, size))
            return;
        report_table(table, &header);
    }
}

/* ---- what is found beside them ---- */

static void report_devices(void)
{
    static const char *const names[] = {[VMI_DEVICE_BLOCK] = "disk",
                                        [VMI_DEVICE_ENTROPY] = "entropy",
                                        [VMI_DEVICE_NETWORK] = "network"};
    struct vmi_device_properties facts;

    for (uint32_t i = 0; i < DEVICES_MAX && vmi_device_info(i, &facts) == VMI_OK; i++)
        print("# device %u %s %s\n", i,
              facts.kind < sizeof(names) / sizeof(names[0]) && names[facts.kind] ? names[facts.kind]
                                                                                 : "unknown",
              (const char *)facts.name);
}

void machine_report(const struct vmi_boot_info *boot)
{
    uint32_t rest;

    print("# machine library=%s loader=%s efi_bits=%u\n", boot->backend,
          boot->loader[0] ? boot->loader : "unknown", boot->efi_bits);
    report_cpuid();
    report_cpus(boot);
    report_memory(boot);
    report_acpi(boot->acpi_root);
    if (boot->framebuffer)
        print("# screen base=0x%llx pitch=%u width=%u height=%u bits=%u color=%u\n",
              WIDE(boot->framebuffer->base), boot->framebuffer->pitch, boot->framebuffer->width,
              boot->framebuffer->height, boot->framebuffer->bits, boot->framebuffer->color);
    report_devices();
    print("# clock cycles_hz=%llu seconds=%llu\n", WIDE(vmi_get_cycle_frequency()),
          WIDE(divide_u64(vmi_get_wallclock_time(), 1000000000u, &rest)));
}

void machine_wait_for_key(const struct vmi_boot_info *boot)
{
    char word[8], key;
    int32_t result;

    option_value(boot->command_line, "end", word, sizeof(word));
    if (!string_equal(word, "key", sizeof("key")))
        return;
    print("# input ready: press a key\n");
    do {
        vmi_yield();
        result = vmi_console_read(&key, 1);
    } while (result == 0);
}
