/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef BENCH_DEVICES_H
#define BENCH_DEVICES_H

#include <stdint.h>

/*
 * Operations of bench_one.c on the first disk and the first network: each is prepared first, which
 * is no part of what is measured. A round is one batch.
 */

/*
 * Ticks in which the CPU has rested: from the first look at which nothing has come to the one at
 * which something has, or to the handler of what wakes it from its halt.
 */
extern uint64_t bench_rested;

void bench_disk_prepare(void);

/* Reads of 4 KiB, one or DEPTH at a time: a round begins when all of the one before have ended. */
void bench_disk_1(uint32_t rounds);
void bench_disk_32(uint32_t rounds);

void bench_send_prepare(void);
void bench_echo_prepare(void);

/* BATCH packets that nobody answers, one or all at a time, each time until they have been sent. */
void bench_send_1(uint32_t rounds);
void bench_send_64(uint32_t rounds);

/* One packet or BATCH at once, until each has been answered. */
void bench_echo_1(uint32_t rounds);
void bench_echo_64(uint32_t rounds);

#endif
