/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Allocation of page frames, with a count of references for frames that several address spaces
 * share.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdint.h>
#include <vmi/vmi.h>

/* No frame: what frame_allocate() returns when memory has run out. Frame 0 is never handed out. */
#define FRAME_NONE 0

void frames_init(const struct vmi_boot_info *boot);

/* A frame of undefined contents with one reference. */
uint32_t frame_allocate(void);
/* A frame of zeroes with one reference. */
uint32_t frame_allocate_zeroed(void);
/* Two neighbouring frames, the first one even: a thread's stack. Each has one reference. */
uint32_t frame_allocate_pair(void);
/*
 * Frames next to each other, the first of which is the result: a device's memory. Each has one
 * reference.
 */
uint32_t frame_allocate_run(uint32_t count);

/* One more reference to a frame. */
void frame_share(uint32_t pfn);
/* One reference less; the last one frees the frame. */
void frame_release(uint32_t pfn);
/* The same of frames next to each other. */
void frame_release_run(uint32_t pfn, uint32_t count);
uint32_t frame_references(uint32_t pfn);

uint32_t frames_free(void);
uint32_t frames_total(void);

/* Where a frame is mapped in the linear mapping, and the other way round. */
void *frame_address(uint32_t pfn);
uint32_t frame_of(const void *address);

#endif
