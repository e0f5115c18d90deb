# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""vmigen: from the VMI specification and the backends' descriptions to headers, stubs, tables and reference pages.

A straight line: `document` reads YAML and keeps places, `schema` and `rules` check, `model` holds what was resolved,
`abi` turns register contracts into assembly, `render` fills templates, `output` writes.
"""
