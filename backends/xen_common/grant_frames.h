/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Frames of a grant table that a library has room for, a page of its image each; for assembly as
 * well. So many lend what is under way of a disk and a network at their largest.
 */
#ifndef VMI_XEN_COMMON_GRANT_FRAMES_H
#define VMI_XEN_COMMON_GRANT_FRAMES_H

#define VMI__XEN_COMMON_GRANT_FRAMES 16

#endif
