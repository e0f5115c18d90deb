# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""From the VMI specification and the backends' descriptions to headers, stubs, tables and reference pages.

A straight line: `document` reads YAML and keeps places, `schema`, `rules` and `backends` check and resolve,
`model` holds the result, `i386` turns register contracts into code, `render` fills templates, `output`
writes.
"""
