/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * How checks of drivers begin that need no more than a device that is open. The process has, before
 * it includes this: REQUESTS and SEGMENTS, look() and open_with().
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_OPEN_H
#define VMI_TESTS_DEVICES_PLAYED_OPEN_H

/* A sound device that nobody has looked at: the process's. */
static void plug(void);

static int32_t open_it(void)
{
    return open_with(
        (struct vmi_device_setup){.queues = 1, .requests = REQUESTS, .segments = SEGMENTS});
}

/* A device that is open. */
static void begin(void)
{
    plug();
    look();
    EXPECT(open_it() == VMI_OK);
}

#endif
