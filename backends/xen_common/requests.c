/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Requests from outside. The toolstack writes what it wants into nodes of the domain's directory
 * and waits until they are empty again (Xen, docs/misc/xenstore-paths.pandoc, "control/shutdown"
 * and "control/sysrq"). A watch tells of both. Which CPUs it wants stands in further ones, which
 * stay ("cpu/$VCPU/availability").
 */
#include "requests.h"

#include "lock.h"
#include "routines.h"
#include "runtime.h"
#include "store.h"

#define TEXT_MAX 16 /* the longest that means something, and more */

#define KEY_FIRST '!'
#define KEY_LAST  '~'
#define KEY_SHIFT 8

static const char shutdown_node[] = "control/shutdown", key_node[] = "control/sysrq";

bool vmi__xen_common_suspend_asked;

static volatile uint32_t lock;
static bool refused; /* what stands in the node has been said to be refused */

static bool is(const char *text, const char *word)
{
    while (*text && *text == *word)
        text++, word++;
    return *text == *word;
}

/* What a word of the toolstack's asks for; VMI_REQUEST_NONE for what is not carried out. Without
 * the kernel nobody suspends it. */
VMI__RUN_ONCE static uint32_t meaning(const char *word)
{
    if (is(word, "poweroff") || is(word, "halt"))
        return VMI_REQUEST_POWER_OFF;
    if (is(word, "suspend") && vmi__xen_common_suspends())
        return VMI_REQUEST_SUSPEND;
    return is(word, "reboot") ? VMI_REQUEST_REBOOT : VMI_REQUEST_NONE;
}

/* What is not carried out stays where it is: so the toolstack learns that nobody takes it. */
VMI__RUN_ONCE static uint32_t take_shutdown(void)
{
    char word[TEXT_MAX];
    int32_t length = vmi__xen_common_store_read(shutdown_node, word, sizeof(word));
    uint32_t request;

    if (length > 0 && !meaning(word)) {
        if (!refused)
            vmi__print(
                "vmi: the toolstack asks for what is not supported (control/shutdown): it is "
                "left without an answer\r\n");
        refused = true;
        return VMI_REQUEST_NONE;
    }
    refused = false;
    if (length <= 0 || vmi__xen_common_store_take(shutdown_node, word, sizeof(word)) <= 0)
        return VMI_REQUEST_NONE;
    request = meaning(word);
    if (request == VMI_REQUEST_SUSPEND)
        __atomic_store_n(&vmi__xen_common_suspend_asked, true, __ATOMIC_RELEASE);
    return request;
}

VMI__RUN_ONCE static uint32_t take_key(void)
{
    char word[TEXT_MAX];

    if (vmi__xen_common_store_take(key_node, word, sizeof(word)) != 1 || word[0] < KEY_FIRST ||
        word[0] > KEY_LAST)
        return VMI_REQUEST_NONE;
    return VMI_REQUEST_KEY | (uint32_t)word[0] << KEY_SHIFT;
}

VMI__ROUTINE uint32_t vmi__xen_common_take_request(void)
{
    uint32_t flags = vmi__xen_common_enter(&lock), request = take_shutdown();

    if (!request)
        request = take_key();
    /* By now all that has come was looked at. */
    if (!request && __atomic_exchange_n(&vmi__xen_common_store_told_cpu, 0, __ATOMIC_SEQ_CST))
        request = VMI_REQUEST_CPUS;
    vmi__xen_common_leave(&lock, flags);
    return request;
}

/* ---- CPUs ---- */

#define CPU_DIGITS 5 /* of VMI_CPUS_LIMIT */

VMI__RUN_ONCE bool vmi__xen_common_cpu_wanted(uint32_t cpu)
{
    static const char before[] = "cpu/", behind[] = "/availability";
    char path[sizeof(before) + CPU_DIGITS + sizeof(behind)], word[TEXT_MAX];
    char digits[CPU_DIGITS], *digit = digits + CPU_DIGITS;
    uint32_t length = sizeof(before) - 1;

    do
        *--digit = (char)('0' + cpu % 10);
    while ((cpu /= 10) && digit > digits);
    memcpy(path, before, length);
    for (; digit < digits + CPU_DIGITS; digit++)
        path[length++] = *digit;
    memcpy(path + length, behind, sizeof(behind));
    return vmi__xen_common_store_read(path, word, sizeof(word)) <= 0 || !is(word, "offline");
}

VMI__RUN_ONCE void vmi__xen_common_requests_default(void)
{
    uint32_t request;

    while ((request = vmi__xen_common_take_request()))
        vmi__request_default(request);
}

VMI__RUN_ONCE bool vmi__xen_common_requests_start(void)
{
    static const char *const carried_out[] = {"control/feature-poweroff", "control/feature-reboot",
                                              "control/feature-halt", "control/feature-sysrq",
                                              "control/feature-suspend"};
    char word[TEXT_MAX];
    bool waiting;

    refused = false;
    for (uint32_t i = 0; i < sizeof(carried_out) / sizeof(carried_out[0]); i++)
        vmi__xen_common_store_tell(carried_out[i], "1");
    vmi__xen_common_store_watch(shutdown_node);
    vmi__xen_common_store_watch(key_node);
    vmi__xen_common_store_watch("memory/target");
    vmi__xen_common_store_watch("cpu");
    /*
     * Each watch tells once before the first of these answers comes, and that says nothing: what
     * the first two nodes hold is read here.
     */
    waiting = vmi__xen_common_store_read(shutdown_node, word, sizeof(word)) > 0;
    __atomic_store_n(&vmi__xen_common_store_told, 0, __ATOMIC_SEQ_CST);
    waiting |= vmi__xen_common_store_read(key_node, word, sizeof(word)) > 0;
    if (waiting)
        __atomic_store_n(&vmi__xen_common_store_told, 1, __ATOMIC_SEQ_CST);
    return vmi__xen_common_store_present();
}
