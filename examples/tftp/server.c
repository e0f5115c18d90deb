/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "server.h"

#include "dhcp.h"
#include "net.h"
#include "tftp.h"

uint64_t server_turn(void)
{
    struct datagram datagram;
    uint64_t address_due, transfer_due;

    while (net_take(&datagram)) {
        if (datagram.port == DHCP_CLIENT)
            dhcp_take(&datagram);
        else
            tftp_take(&datagram);
    }
    address_due = dhcp_run();
    transfer_due = tftp_run();
    return address_due < transfer_due ? address_due : transfer_due;
}
