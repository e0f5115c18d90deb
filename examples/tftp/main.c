/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that serves the files of an ISO 9660 disk by TFTP, on hardware and on every hypervisor
 * that gives it a disk and a network. README.md says how to use it and what is in which file.
 */
#include <vmi/vmi.h>

#include "card.h"
#include "disk.h"
#include "interrupts.h"
#include "iso9660.h"
#include "memory.h"
#include "print.h"
#include "random.h"
#include "server.h"
#include "tftp.h"

static void open_disk(void)
{
    while (disk_open_next())
        if (iso_open())
            return;
    stop(VMI_STATUS_FAIL, "there is no disk with an ISO 9660 volume");
}

/* The library calls this, with paging on and interrupts masked. */
void kernel_main(const struct vmi_boot_info *boot)
{
    say("TFTP by VMI for %s", boot->backend);
    memory_begin(boot);
    interrupts_begin(boot);
    random_begin();
    open_disk();
    if (!card_open())
        stop(VMI_STATUS_FAIL, "there is no network");
    tftp_begin();
    for (;;) {
        const uint32_t seen = interrupts_seen();

        interrupts_wait(seen, server_turn());
    }
}
