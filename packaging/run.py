# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Runs a tool of this tree as the installed launcher does: run.py FOLDER PACKAGE ARGUMENT…"""

import runpy
import sys

folder, package = sys.argv[1:3]
sys.argv = [package, *sys.argv[3:]]
sys.path[0] = folder
runpy.run_module(package, run_name="__main__", alter_sys=True)
