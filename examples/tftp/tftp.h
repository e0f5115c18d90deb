/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A server for TFTP that files can be read from (RFC 1350), with the options blksize, timeout,
 * tsize (RFC 2347 to 2349) and windowsize (RFC 7440).
 */
#ifndef TFTP_H
#define TFTP_H

#include "net.h"

/* Takes memory for transfers. */
void tftp_begin(void);

void tftp_take(const struct datagram *datagram);

/* Sends what is due; the time at which something is due next. */
uint64_t tftp_run(void);

#endif
