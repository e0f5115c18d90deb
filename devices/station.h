/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Addresses of stations on an Ethernet, for drivers whose devices have them in two registers.
 */
#ifndef VMI_DEVICES_STATION_H
#define VMI_DEVICES_STATION_H

#include <stdbool.h>
#include <stdint.h>

/* Whether that is the address of one station (IEEE 802, 8.2: not a group's). */
static inline bool vmi__is_station(const uint8_t address[6])
{
    uint32_t any = 0;

    for (uint32_t i = 0; i < 6; i++)
        any |= address[i];
    return any && !(address[0] & 1);
}

/* Its first four bytes, and the others, as registers have them. */
static inline uint32_t vmi__station_low(const uint8_t address[6])
{
    return address[0] | (uint32_t)address[1] << 8 | (uint32_t)address[2] << 16 |
           (uint32_t)address[3] << 24;
}

static inline uint32_t vmi__station_high(const uint8_t address[6])
{
    return address[4] | (uint32_t)address[5] << 8;
}

#endif
