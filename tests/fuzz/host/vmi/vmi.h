/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * vmi/vmi.h for the runtime's sources on a 64-bit build machine: the structures without the sizes
 * that only i386 has; the calls are there but cannot be made.
 */
#define __i386__ 1
#define VMI_ALLOW_SSE 1
#define __regparm__(count)
#define _Static_assert(condition, text)
#include_next <vmi/vmi.h>
#undef __i386__
#undef VMI_ALLOW_SSE
#undef __regparm__
#undef _Static_assert
