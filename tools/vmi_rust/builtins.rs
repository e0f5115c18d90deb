// SPDX-License-Identifier: MIT OR GPL-2.0-only
//! What compiled Rust calls on its own: division of integers wider than a register. Debian's rust-src has no
//! sources of compiler_builtins, whose place this takes. memcpy and its like are the VMI library's. There is
//! nothing for floating point: a kernel that uses it does not link.
#![no_std]
#![allow(internal_features)]
#![feature(compiler_builtins)]
#![compiler_builtins]

/// Quotient and remainder of 64 bits by 32, by two divisions of the processor's own (Intel SDM vol. 2A, DIV).
#[cfg(target_arch = "x86")]
fn divide_by_word(dividend: u64, divisor: u32) -> (u64, u64) {
    let (high, low) = ((dividend >> 32) as u32, dividend as u32);
    // Of zero, as the processor does it: #DE. Compiled code has looked before.
    let quotient_high: u32;
    let quotient_low: u32;
    let remainder: u32;
    unsafe {
        core::arch::asm!(
            "div {divisor:e}",
            "xchg eax, {low:e}",
            "div {divisor:e}",
            divisor = in(reg) divisor,
            low = inout(reg) low => quotient_high,
            inout("eax") high => quotient_low,
            inout("edx") 0u32 => remainder,
            options(nomem, nostack, pure)
        );
    }
    ((quotient_high as u64) << 32 | quotient_low as u64, remainder as u64)
}

/// Quotient and remainder. With both shifted until the divisor is one word, the quotient is too high by at most
/// one (Warren, Hacker's Delight, 9-5); one less is tried, and mended.
#[cfg(target_arch = "x86")]
fn divide(dividend: u64, divisor: u64) -> (u64, u64) {
    if divisor >> 32 == 0 {
        return divide_by_word(dividend, divisor as u32);
    }
    let shift = 32 - ((divisor >> 32) as u32).leading_zeros();
    let (mut quotient, _) = divide_by_word(dividend >> shift, (divisor >> shift) as u32);
    if quotient != 0 {
        quotient -= 1;
    }
    let mut remainder = dividend.wrapping_sub(quotient.wrapping_mul(divisor));
    while remainder >= divisor {
        quotient += 1;
        remainder -= divisor;
    }
    (quotient, remainder)
}

/// Quotient and remainder, bit by bit.
fn divide_long(dividend: u128, divisor: u128) -> (u128, u128) {
    let (mut quotient, mut remainder) = (0u128, 0u128);
    let mut bit = 128;
    while bit > 0 {
        bit -= 1;
        let carry = remainder >> 127 != 0;
        remainder = remainder << 1 | (dividend >> bit & 1);
        if carry || remainder >= divisor {
            remainder = remainder.wrapping_sub(divisor);
            quotient |= 1 << bit;
        }
    }
    (quotient, remainder)
}

/// The four functions for one width: unsigned and signed, quotient and remainder (which has the dividend's sign).
macro_rules! functions {
    ($unsigned:ty, $signed:ty, $divide:ident, $udiv:ident, $umod:ident, $div:ident, $rem:ident) => {
        #[no_mangle]
        #[allow(improper_ctypes_definitions)]
        pub extern "C" fn $udiv(dividend: $unsigned, divisor: $unsigned) -> $unsigned {
            $divide(dividend, divisor).0
        }

        #[no_mangle]
        #[allow(improper_ctypes_definitions)]
        pub extern "C" fn $umod(dividend: $unsigned, divisor: $unsigned) -> $unsigned {
            $divide(dividend, divisor).1
        }

        #[no_mangle]
        #[allow(improper_ctypes_definitions)]
        pub extern "C" fn $div(dividend: $signed, divisor: $signed) -> $signed {
            let quotient = $divide(dividend.unsigned_abs(), divisor.unsigned_abs()).0 as $signed;
            if (dividend < 0) != (divisor < 0) { quotient.wrapping_neg() } else { quotient }
        }

        #[no_mangle]
        #[allow(improper_ctypes_definitions)]
        pub extern "C" fn $rem(dividend: $signed, divisor: $signed) -> $signed {
            let remainder = $divide(dividend.unsigned_abs(), divisor.unsigned_abs()).1 as $signed;
            if dividend < 0 { remainder.wrapping_neg() } else { remainder }
        }
    };
}

#[cfg(target_arch = "x86")]
functions!(u64, i64, divide, __udivdi3, __umoddi3, __divdi3, __moddi3);
functions!(u128, i128, divide_long, __udivti3, __umodti3, __divti3, __modti3);
