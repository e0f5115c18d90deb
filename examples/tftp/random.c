/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "random.h"

#include "devices.h"
#include "interrupts.h"
#include "print.h"

#define BUFFERS 1u

void random_begin(void)
{
    struct vmi_device_properties facts;
    uint32_t device = 0;
    uint8_t byte;

    if (device_find(VMI_DEVICE_ENTROPY, &device, &facts))
        device_open(device,
                    (struct vmi_device_setup){.queues = 1, .requests = BUFFERS, .segments = 1}, 1);
    if (vmi_fill_entropy(VMI_ENTROPY_ANY, &byte, sizeof(byte)) == VMI_ENODEV)
        say("there is no source of entropy: what should not be guessed can be");
}

uint32_t random_number(void)
{
    const uint64_t end = clock_now() + clock_second();
    uint32_t number, filled = 0;

    while (filled < sizeof(number)) {
        const uint32_t seen = interrupts_seen();
        int32_t more =
            vmi_fill_entropy(VMI_ENTROPY_ANY, (uint8_t *)&number + filled, sizeof(number) - filled);

        if (more > 0)
            filled += (uint32_t)more;
        else if (more == VMI_EAGAIN && clock_now() < end)
            interrupts_wait(seen, end); /* an event of the device's says that there is more */
        else
            return (uint32_t)clock_now() * 2654435761u; /* no two are alike, and that is all */
    }
    return number;
}
