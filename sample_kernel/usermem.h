/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Memory of processes: filled when touched, shared until written. */
#ifndef USERMEM_H
#define USERMEM_H

#include <stdbool.h>
#include <stdint.h>

struct aspace;
struct program;

/*
 * Resolves a page fault below USER_END in the running process, whose text is the program's. False
 * if the process has no right to that access.
 */
bool usermem_fault(struct aspace *aspace, const struct program *program, uintptr_t address,
                   uint32_t error);

/*
 * Lets `child` (a new, empty address space) see what the running process `parent` has: frames are
 * shared, and from here on both copy what they write. False if memory is short.
 */
bool usermem_fork(struct aspace *parent, struct aspace *child);

/* How many pages have been copied because a process wrote to them while they were shared. */
uint32_t usermem_copied_pages(void);

/* Copies from or to the memory of the running process. False if it may not access all of it. */
bool usermem_read(void *to, uintptr_t from, uint32_t size);
bool usermem_write(uintptr_t to, const void *from, uint32_t size);

#endif
