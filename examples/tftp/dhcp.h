/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A DHCP client (RFC 2131): gets the kernel's address, and keeps it. */
#ifndef DHCP_H
#define DHCP_H

#include "net.h"

/* Takes a datagram that came to port DHCP_CLIENT. */
void dhcp_take(const struct datagram *datagram);

/* Sends what is due; the time at which something is due next. */
uint64_t dhcp_run(void);

#endif
