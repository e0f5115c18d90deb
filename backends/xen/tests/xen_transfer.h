/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In place of the hypercall (VMI_TRANSFER_OVERRIDE): registers as Xen finds them go to the Xen that
 * xen_start.c plays.
 */
        .macro vmi__xen_transfer
        call played_transfer
        .endm
