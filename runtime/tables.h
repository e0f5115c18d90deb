/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef VMI_RUNTIME_TABLES_H
#define VMI_RUNTIME_TABLES_H

#ifdef __x86_64__
#include "arch/x86_64/tables.h"
#else
#include "arch/i386/tables.h"
#endif

#endif
