# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""vmi-rust: compiles kernels in Rust. Standard library only."""
