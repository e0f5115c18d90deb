/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What workloads of Linux's need of linux_workloads.c, and those of devices (linux_devices.c). */
#ifndef LINUX_WORKLOADS_H
#define LINUX_WORKLOADS_H

#include <stdint.h>

/* Says what has failed, and errno; ends the program. */
void fail(const char *what) __attribute__((noreturn));

/* Before the first round, and after each. */
void begin(const char *name, unsigned rounds);
void round_end(void);

/* The time-stamp counter. */
uint64_t ticks(void);

void disk_1(unsigned rounds);
void disk_32(unsigned rounds);
void send_1(unsigned rounds);
void send_64(unsigned rounds);
void echo_1(unsigned rounds);
void echo_64(unsigned rounds);

#endif
