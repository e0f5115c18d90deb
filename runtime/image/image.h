/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A library as a provider image: how its binder enters it.
 */
#ifndef VMI_RUNTIME_IMAGE_H
#define VMI_RUNTIME_IMAGE_H

#include "runtime.h"

/* Whether the image's hypervisor is there; vmi__backend_here. */
VMI__ADDRESS_TAKEN uint32_t vmi__image_probe(void);

/* Fills vmi__kernel for the kernel that `kernel` describes. */
void vmi__image_take(struct vmi__kernel *kernel);

/*
 * Starts the library for the kernel that `kernel` describes, on the kernel's boot stack, and leaves
 * through kernel->main with the library's tables filled in: takes the kernel, then does what the
 * library's entry point does where it is linked with one. Comes back only if the library has no way
 * in for a kernel that was entered by kernel->protocol; then nothing has happened. Image and binder
 * may be compiled with different options. Defined once for the PC libraries, and by each other one.
 */
VMI__ADDRESS_TAKEN VMI__FROM_ENTRY void vmi__image_start(struct vmi__kernel *kernel);

#endif
