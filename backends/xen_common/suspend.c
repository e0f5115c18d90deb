/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * CPUs that meet to be suspended.
 */
#include "suspend.h"

#include "device_map.h"
#include "requests.h"
#include "runtime.h"

#include <vmi/vmi.h>

/* CPUs beside the first that have come, those that have gone on, and how often all have. */
static struct {
    uint32_t come, gone, round;
    int32_t result;
} meeting;

/* Waits until a word is a value or, without `is`, is not. */
VMI__RUN_ONCE static void wait_for(const uint32_t *word, uint32_t value, bool is)
{
    uint32_t turns = 0;

    while ((__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) != is)
        vmi__xen_common_relax(&turns);
}

VMI__RUN_ONCE static int32_t first(uint32_t others)
{
    /* What MapDevice has mapped is of this host. */
    int32_t result = vmi__device_any() ? VMI_EBUSY : VMI_OK;

    wait_for(&meeting.come, others, true);
    if (result == VMI_OK)
        result = vmi__xen_common_stand_still();
    meeting.result = result;
    meeting.come = meeting.gone = 0;
    vmi__xen_common_suspend_asked = false;
    __atomic_fetch_add(&meeting.round, 1, __ATOMIC_RELEASE);
    if (result == VMI_SUSPEND_RESTORED)
        vmi__xen_common_cpu_returns(0);
    /* Until then some cannot be sent an interrupt. */
    wait_for(&meeting.gone, others, true);
    return result;
}

VMI__RUN_ONCE static int32_t another(uint32_t number, uint32_t others)
{
    uint32_t round = __atomic_load_n(&meeting.round, __ATOMIC_ACQUIRE);

    __atomic_fetch_add(&meeting.come, 1, __ATOMIC_RELEASE);
    wait_for(&meeting.round, round, false);
    if (meeting.result == VMI_SUSPEND_RESTORED)
        vmi__xen_common_cpu_returns(number);
    __atomic_fetch_add(&meeting.gone, 1, __ATOMIC_RELEASE);
    wait_for(&meeting.gone, others, true);
    return meeting.result;
}

VMI__RUN_ONCE int32_t vmi__xen_common_meet(uint32_t number, uint32_t others)
{
    return number ? another(number, others) : first(others);
}
