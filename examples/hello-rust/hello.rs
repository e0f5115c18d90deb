// SPDX-License-Identifier: MIT OR GPL-2.0-only
#![no_std]

extern crate vmi;

use core::fmt::Write;

fn text(start: *const u8) -> &'static str {
    // The library's strings end with a zero, stay for good and are ASCII.
    let length = (0..).take_while(|&at| unsafe { *start.add(at) } != 0).count();
    core::str::from_utf8(unsafe { core::slice::from_raw_parts(start, length) }).unwrap_or("?")
}

/// Entry point. The library calls it with paging enabled and interrupts masked.
#[no_mangle]
pub extern "C" fn kernel_main(boot: &'static vmi::BootInfo) -> ! {
    let megabytes = boot.linear_pages / 256;
    let backend = text(boot.backend);
    let mut console = vmi::Console;
    let _ = write!(console, "Hello from ring {} and Rust, ", boot.kernel_rpl);
    let _ = write!(console, "linked with the library for {}, {} MiB\r\n", backend, megabytes);
    unsafe { vmi::shutdown_reason(vmi::SHUTDOWN_POWEROFF, vmi::STATUS_PASS) }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let _ = write!(vmi::Console, "PANIC: {}\r\n", info);
    unsafe { vmi::shutdown_reason(vmi::SHUTDOWN_CRASH, vmi::STATUS_PANIC) }
}
