/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * GetWallclockTime: the real-time clock, and the TSC from there on. The RTC is looked at again now
 * and then, for whoever runs the machine may have stopped it, TSC and all, or have set the RTC.
 * Right to a second, as the RTC is. The RTC is taken to hold UTC. Source: Motorola MC146818A data
 * sheet; century register by the FADT.
 */
#include "native.h"
#include <native/routines.h>

#define INDEX 0x70
#define DATA  0x71

enum {
    SECONDS = 0x00,
    MINUTES = 0x02,
    HOURS = 0x04,
    DAY = 0x07,
    MONTH = 0x08,
    YEAR = 0x09,
    STATUS_A = 0x0a,
    STATUS_B = 0x0b,
};

#define STATUS_A_UPDATING 0x80
#define STATUS_B_24_HOURS 0x02
#define STATUS_B_BINARY   0x04
#define HOURS_PM          0x80

#define CENTURY_DEFAULT 20

/* An update takes 2 ms; readings between which it changed are taken again. */
#define TRIES     4
#define POLLS_MAX 100000

struct reading {
    uint8_t second, minute, hour, day, month, year, century;
};

#define NANOSECONDS 1000000000ull /* per second */

/* For so long, ns, a look at the RTC is good: it takes some 30 accesses to ports. */
#define LOOK (NANOSECONDS / 10)

/* A correction of more than this, ns, is one that the clock was set by. */
#define STEP NANOSECONDS

static struct vmi__lock lock;
static bool known, stepped;
static uint64_t offset; /* wall clock less ClockNanoseconds */
static uint64_t looked; /* ClockNanoseconds of the last look */

static VMI__RUN_ONCE uint8_t cmos(uint32_t index)
{
    vmi__outb(INDEX, (uint8_t)index);
    return vmi__inb(DATA);
}

static VMI__RUN_ONCE bool read_once(struct reading *reading)
{
    uint32_t polls = 0;

    while (cmos(STATUS_A) & STATUS_A_UPDATING) {
        if (++polls == POLLS_MAX)
            return false;
    }
    reading->second = cmos(SECONDS);
    reading->minute = cmos(MINUTES);
    reading->hour = cmos(HOURS);
    reading->day = cmos(DAY);
    reading->month = cmos(MONTH);
    reading->year = cmos(YEAR);
    reading->century = vmi__native_acpi.century ? cmos(vmi__native_acpi.century) : 0;
    return true;
}

static VMI__RUN_ONCE uint8_t from_bcd(uint8_t value)
{
    return (uint8_t)((value >> 4) * 10 + (value & 15));
}

/*
 * Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March, so that a leap
 * day ends one.
 */
static VMI__RUN_ONCE uint32_t days_since_1970(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t months = month > 2 ? month - 3 : month + 9;

    year -= month <= 2;
    /* 719468 days lie between 0000-03-01 and 1970-01-01. */
    return year * 365 + year / 4 - year / 100 + year / 400 + (months * 153 + 2) / 5 + day - 1 -
           719468;
}

/* Seconds since 1970, or 0 if there is no clock or its time makes no sense. */
static VMI__RUN_ONCE uint64_t read_seconds(void)
{
    struct reading now, again;
    uint32_t tries, hour, year;
    bool afternoon;
    uint8_t mode;

    if (!read_once(&now))
        return 0;
    for (tries = 0;; tries++) {
        if (tries == TRIES || !read_once(&again))
            return 0;
        if (memcmp(&now, &again, sizeof(now)) == 0)
            break;
        now = again;
    }
    mode = cmos(STATUS_B);
    afternoon = !(mode & STATUS_B_24_HOURS) && (now.hour & HOURS_PM);
    if (!(mode & STATUS_B_24_HOURS))
        now.hour &= (uint8_t)~HOURS_PM;
    if (!(mode & STATUS_B_BINARY)) {
        now.second = from_bcd(now.second);
        now.minute = from_bcd(now.minute);
        now.hour = from_bcd(now.hour);
        now.day = from_bcd(now.day);
        now.month = from_bcd(now.month);
        now.year = from_bcd(now.year);
        now.century = from_bcd(now.century);
    }
    hour = now.hour;
    if (!(mode & STATUS_B_24_HOURS))
        hour = hour % 12 + (afternoon ? 12 : 0);
    if (now.century < 19 || now.century > 99)
        now.century = CENTURY_DEFAULT;
    year = now.century * 100u + now.year;
    if (year < 1970 || now.month < 1 || now.month > 12 || now.day < 1 || now.day > 31 ||
        hour > 23 || now.minute > 59 || now.second > 60)
        return 0;
    return ((days_since_1970(year, now.month, now.day) * 24ull + hour) * 60 + now.minute) * 60 +
           now.second;
}

/*
 * Has the wall clock lie within the RTC's second, which it was in at some moment of the reading. So
 * it is soon as right as looks are frequent. With the lock.
 */
static void look(void)
{
    uint64_t before = vmi__native_clock_nanoseconds(), after, second, corrected;

    /* An update of the RTC is not waited for where there is a wall clock already. */
    if (known && (before - looked < LOOK || (cmos(STATUS_A) & STATUS_A_UPDATING)))
        return;
    second = read_seconds() * NANOSECONDS;
    after = looked = vmi__native_clock_nanoseconds();
    if (!second)
        return;
    if (!known || offset + after < second)
        corrected = second - after;
    else if (offset + before >= second + NANOSECONDS)
        corrected = second + NANOSECONDS - before;
    else
        return;
    if (known && corrected - offset + STEP > 2 * STEP)
        stepped = true;
    offset = corrected;
    known = true;
}

VMI__ROUTINE uint64_t vmi__native_get_wallclock_time(void)
{
    uint32_t flags = vmi__lock(&lock);
    uint64_t wall;

    look();
    wall = known ? offset + vmi__native_clock_nanoseconds() : 0;
    vmi__unlock(&lock, flags);
    return wall;
}

VMI__ROUTINE int32_t vmi__native_wallclock_updated(void)
{
    uint32_t flags = vmi__lock(&lock);
    bool was;

    look();
    was = stepped;
    stepped = false;
    vmi__unlock(&lock, flags);
    return was;
}
