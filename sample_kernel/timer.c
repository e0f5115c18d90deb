/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

#include "cpus.h"
#include "current.h"
#include "divide.h"
#include "layout.h"
#include "panic.h"
#include "timer.h"

#define ALARM (VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL)

static volatile uint32_t alarms[CPUS_MAX];
static volatile bool periodic[CPUS_MAX];
static uint32_t kilohertz;

void timer_gone_off(void)
{
    alarms[cpu_current()]++;
}

void timer_init(void)
{
    uint32_t remainder;

    kilohertz = (uint32_t)divide_u64(vmi_get_cycle_frequency(), 1000, &remainder);
    if (kilohertz == 0)
        panic("the cycle counter has no frequency");
}

uint64_t timer_cycles(uint32_t microseconds)
{
    uint32_t remainder;
    return divide_u64((uint64_t)kilohertz * microseconds, 1000, &remainder);
}

static void set(uint32_t flags, uint32_t microseconds)
{
    uint64_t period = timer_cycles(microseconds);

    periodic[cpu_current()] = flags & VMI_ALARM_PERIODIC;
    vmi_apic_write(VMI_APIC_LVTT, VECTOR_ALARM);
    vmi_set_alarm(ALARM | flags, vmi_get_cycle_counter(VMI_CYCLES_REAL) + period, period);
}

void timer_init_cpu(void)
{
    set(VMI_ALARM_PERIODIC, TICK_MILLISECONDS * 1000);
}

void timer_one_shot(uint32_t microseconds)
{
    set(VMI_ALARM_ONESHOT, microseconds);
}

void timer_cancel(void)
{
    periodic[cpu_current()] = false;
    vmi_cancel_alarm(ALARM);
}

bool timer_is_periodic(uint32_t cpu)
{
    return periodic[cpu];
}

const volatile uint32_t *timer_alarms(uint32_t cpu)
{
    return &alarms[cpu];
}
