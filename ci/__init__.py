# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What runs the SDK: front door, rigs that hold real hypervisors, labgrid driver, results."""
