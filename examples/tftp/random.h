/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Numbers that nobody can guess. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/* Opens a source of entropy if there is one; a line says where there is none. */
void random_begin(void);

uint32_t random_number(void);

#endif
