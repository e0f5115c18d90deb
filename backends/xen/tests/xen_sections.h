/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Read before each of the library's sources in a test build: what enters a critical section, or
 * leaves one, or moves a request from one place to the next, tells xen_sections.c so. The sources
 * themselves are not changed. base.c, which defines these names, is compiled as it is.
 */
#ifndef XEN_SECTIONS_H
#define XEN_SECTIONS_H

#include "xen/channels.h"

struct section {
    const char *file, *function;
    uint32_t entered, slept, others;
    uint8_t listed;
};

/* With events masked on this CPU. */
void section_here(struct section *section);

#define SECTION_HERE()                                                                             \
    ({                                                                                             \
        static struct section section_ = {.file = __FILE_NAME__};                                  \
        section_.function = __func__;                                                              \
        section_here(&section_);                                                                   \
    })

#define vmi__xen_mask()                                                                            \
    ({                                                                                             \
        uint32_t mask_ = vmi__xen_mask();                                                          \
        SECTION_HERE();                                                                            \
        mask_;                                                                                     \
    })
#define vmi__xen_take(lock)                                                                        \
    ({                                                                                             \
        uint32_t mask_ = vmi__xen_take(lock);                                                      \
        SECTION_HERE();                                                                            \
        mask_;                                                                                     \
    })
#define vmi__xen_unmask(mask)     (SECTION_HERE(), vmi__xen_unmask(mask))
#define vmi__xen_give(lock, mask) (SECTION_HERE(), vmi__xen_give(lock, mask))
/* Between the port, which is no longer pending, and the request. */
#define vmi__xen_set_bit(bits, bit) (SECTION_HERE(), vmi__xen_set_bit(bits, bit))

#endif
