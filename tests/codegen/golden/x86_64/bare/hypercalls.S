/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and bare/backend.yaml by the template hypercalls.S.j2; do not edit. */
/*
 * The library for Bare makes no hypercalls.
 */
#include "bare/hypercalls.h"

        .section .note.GNU-stack, "", @progbits
