/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "lock.h"

uint32_t vmi__checked_holder;
