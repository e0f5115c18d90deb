/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* All that the kernel does once its devices are open. */
#ifndef SERVER_H
#define SERVER_H

#include <stdint.h>

/* Takes what has come and sends what is due; the time at which something is due next. */
uint64_t server_turn(void);

#endif
