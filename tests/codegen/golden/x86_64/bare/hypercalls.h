/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and bare/backend.yaml by the template hypercalls.h.j2; do not edit. */
/**
 * @file
 * The library for Bare makes no hypercalls.
 */
#ifndef VMI__BARE_HYPERCALLS_H
#define VMI__BARE_HYPERCALLS_H

#endif
