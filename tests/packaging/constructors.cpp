/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Constructors of all kinds, and what C++ compilers call beside them. test_cxx.py builds it.
 */
#include <vmi/vmi.h>

namespace {

uint32_t order;

struct Hello {
    unsigned value;
    Hello() : value(0x56495254) {}
};

Hello ran;

/* Has to be destroyed, which is registered with __cxa_atexit. */
struct Destroyed {
    uint32_t *at;
    explicit Destroyed(uint32_t *where) : at(where) { *at = *at * 16 + 3; }
    ~Destroyed() { *at = 0; }
};

Destroyed last(&order);

struct Shape {
    virtual uint32_t area() const = 0;
};

struct Square : Shape {
    uint32_t side;
    explicit Square(uint32_t length) : side(length) {}
    uint32_t area() const override { return side * side; }
};

Square square(7);
const Shape *volatile shape = &square;

}

__attribute__((constructor(101))) static void first()
{
    order = order * 16 + 1;
}

__attribute__((constructor(102))) static void second()
{
    order = order * 16 + 2;
}

static void say(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

void kernel_main(const struct vmi_boot_info *boot)
{
    say(boot->magic == VMI_BOOT_INFO_MAGIC ? "boot " : "no boot ");
    say(ran.value == 0x56495254 ? "ran " : "not run ");
    say(order == 0x123 ? "in order " : "out of order ");
    say(shape->area() == 49 ? "virtual\r\n" : "not virtual\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}

/* In place of a library that can do without paging; the console needs nothing. */
extern "C" void vmi__backend_init_unpaged(struct vmi_boot_info *boot)
{
    boot->backend = "none";
}

void kernel_main_unpaged(const struct vmi_boot_info *boot)
{
    say("unpaged ");
    kernel_main(boot);
}
