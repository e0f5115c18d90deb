/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What all layers stand on beside memory: the CPUs, locks, system time, reports.
 */
#include "domain.h"

#include "xen_common/lock.h"

#define REPORTS_MAX 32

struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX];
uint32_t vmi__xen_cpu_count;

static uint32_t reports;

/* ---- locks ---- */

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    uint32_t mask = vmi__xen_mask(), turns = 0;

    while (__atomic_exchange_n(&taken->held, 1, __ATOMIC_ACQUIRE))
        vmi__xen_relax(&turns);
    return mask;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    __atomic_store_n(&taken->held, 0, __ATOMIC_RELEASE);
    vmi__xen_unmask(mask);
}

uint32_t vmi__xen_common_enter(volatile uint32_t *taken)
{
    return vmi__xen_take((struct vmi__xen_lock *)(uintptr_t)taken);
}

void vmi__xen_common_leave(volatile uint32_t *taken, uint32_t flags)
{
    vmi__xen_give((struct vmi__xen_lock *)(uintptr_t)taken, flags);
}

/* ---- system time ---- */

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* An interrupt in between may have moved the thread to another CPU. */
uint64_t vmi__xen_system_time(void)
{
    const volatile struct vcpu_time_info *info;
    uint64_t tsc, delta, time;
    uint32_t version, cpu;

    do {
        cpu = vmi__xen_this();
        info = &vmi__xen_vcpu(cpu)->time;
        version = info->version;
        vmi__barrier();
        tsc = read_tsc();
        /*
         * As a signed difference: where Xen counts cycles from a domain's birth, what it noted
         * before that is negative.
         */
        delta = tsc - info->tsc_timestamp;
        if (delta >> 63)
            delta = 0;
        delta = info->tsc_shift >= 0 ? delta << info->tsc_shift : delta >> -info->tsc_shift;
        time = info->system_time + vmi__scale(delta, info->tsc_to_system_mul, 32);
        vmi__barrier();
    } while ((version & 1) || version != info->version || cpu != vmi__xen_this());
    return time;
}

/* ---- reports ---- */

static void append(char **to, const char *text)
{
    while (*text)
        *(*to)++ = *text++;
}

static void append_hex(char **to, uint64_t value)
{
    uint32_t shift = 60;

    append(to, "0x");
    while (shift && !(value >> shift & 0xf))
        shift -= 4;
    for (;; shift -= 4) {
        *(*to)++ = "0123456789abcdef"[value >> shift & 0xf];
        if (!shift)
            return;
    }
}

static void append_decimal(char **to, uint32_t value)
{
    if (value >= 10)
        append_decimal(to, value / 10);
    *(*to)++ = (char)('0' + value % 10);
}

static const char *name_of(uint32_t call)
{
    for (uint32_t i = 0; i < vmi_calls_count; i++)
        if (vmi_calls[i].ordinal == call)
            return vmi_calls[i].name;
    return "?";
}

/* By the call ConsoleWrite, as the runtime does: the console is of a higher layer. */
static void print_report(const char *verb, uint32_t call, uintptr_t entry, uint64_t value,
                         intptr_t error)
{
    char line[128], *end = line;

    append(&end, "vmi: ");
    append(&end, name_of(call));
    append(&end, verb);
    append_hex(&end, entry);
    append(&end, ", value ");
    append_hex(&end, value);
    append(&end, ": error -");
    append_decimal(&end, error < 0 ? 0u - (uint32_t)error : 0);
    append(&end, "\r\n");
    vmi_console_write(line, (uint32_t)(end - line));
}

void vmi__xen_report(uint32_t call, uintptr_t entry, uint64_t value, intptr_t error)
{
    if (__atomic_fetch_add(&reports, 1, __ATOMIC_RELAXED) < REPORTS_MAX)
        print_report(" refused: entry ", call, entry, value, error);
}

void vmi__xen_crash(uint32_t call, uintptr_t entry, uint64_t value, intptr_t error)
{
    print_report(" failed, cannot go on: entry ", call, entry, value, error);
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}
