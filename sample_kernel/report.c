/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdarg.h>
#include <stdbool.h>

#include "print.h"
#include "report.h"
#include "string.h"

#define HYPERCALLS_MAX 128

static uint32_t calls[VMI_ORDINALS];
static uint32_t hypercalls[HYPERCALLS_MAX];

static char text[32768];
static size_t length;

static void __attribute__((format(printf, 1, 2))) add(const char *line, ...)
{
    va_list arguments;
    va_start(arguments, line);
    length += format_list(text + length, sizeof(text) - length - 2, line, arguments);
    va_end(arguments);
    text[length++] = '\r';
    text[length++] = '\n';
    if (length > sizeof(text) - 512)
        length = sizeof(text) - 512; /* what follows overwrites the end, rather than memory */
}

static const char *kind_name(uint32_t kind)
{
    switch (kind) {
    case VMI_KIND_INSTRUCTION:
        return "instruction";
    case VMI_KIND_HYPERCALL:
        return "hypercall";
    case VMI_KIND_ROUTINE:
        return "routine";
    default:
        return "unsupported";
    }
}

static const char *protocol_name(uint32_t protocol)
{
    switch (protocol) {
    case VMI_BOOT_MULTIBOOT:
        return "multiboot";
    case VMI_BOOT_PVH:
        return "pvh";
    case VMI_BOOT_PARAVIRTUAL:
        return "paravirtual";
    case VMI_BOOT_MULTIBOOT2:
        return "multiboot2";
    default:
        return "unknown";
    }
}

/* Memory of all kinds that is RAM. */
static uint32_t memory_kib(const struct vmi_boot_info *boot)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < boot->memory_count; i++)
        if (boot->memory[i].kind != VMI_MEMORY_RESERVED &&
            boot->memory[i].kind != VMI_MEMORY_UNUSABLE)
            bytes += boot->memory[i].size;
    return (uint32_t)(bytes >> 10);
}

void mark(uint32_t number)
{
    uint32_t ignored;

    vmi_set_dr(0, number);
    vmi_cpuid(number, 0, &ignored, &ignored, &ignored, &ignored);
}

uint64_t hypercalls_made(void)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < vmi_hypercalls_count; i++)
        total += *vmi_hypercalls[i].count;
    return total;
}

static uint32_t hypercall_count(void)
{
    return vmi_hypercalls_count < HYPERCALLS_MAX ? vmi_hypercalls_count : HYPERCALLS_MAX;
}

void report_count(void)
{
    memcpy(calls, vmi_call_count, sizeof(calls));
    for (uint32_t i = 0; i < hypercall_count(); i++)
        hypercalls[i] = *vmi_hypercalls[i].count;
    mark(SNAPSHOT_MARK);
}

void report(const struct vmi_boot_info *boot, const struct ktap_result *result, bool exact)
{
    add("# boot backend=%s protocol=%s rpl=%u cpus=%u memory_kib=%u", boot->backend,
        protocol_name(boot->protocol), boot->kernel_rpl, boot->cpu_count, memory_kib(boot));
    add("# snapshot mark=0x%08x exact=%s", SNAPSHOT_MARK, exact ? "yes" : "no");
    for (uint32_t i = 0; i < vmi_calls_count; i++)
        add("# call %s ordinal=%u kind=%s%s count=%u how=%s", vmi_calls[i].name,
            vmi_calls[i].ordinal, kind_name(vmi_calls[i].kind),
            vmi_calls[i].when != NULL ? " conditional=yes" : "", calls[vmi_calls[i].ordinal],
            vmi_calls[i].how);
    for (uint32_t i = 0; i < hypercall_count(); i++)
        add("# hypercall %s number=%u count=%u", vmi_hypercalls[i].name, vmi_hypercalls[i].number,
            hypercalls[i]);
    add("# result pass=%u fail=%u skip=%u", result->passed, result->failed, result->skipped);
    vmi_console_write(text, length);
}
