# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Specifications of the form before calls named terms and said what they promise, for `diff`."""

from __future__ import annotations

from typing import Any

from .document import Map, Seq

_PROMISES: dict[str, Any] = {"suspend": "none", "stack": 0, "interruptible": False}
"""What fills the keys of a call that there were none of; they are not compared."""


def brought_over(document: Map) -> bool:
    """Gives a specification of the earlier form today's; returns whether it had the earlier one.

    In that form no call has any of the promises, and `requires` lists sentences. Each becomes a term.
    """
    calls = document.get("calls")
    if not isinstance(calls, Seq) or "terms" in document:
        return False
    if not calls or not all(isinstance(call, Map) and _PROMISES.keys().isdisjoint(call) for call in calls):
        return False
    terms, named = Seq(document.place), dict[str, str]()
    for call in calls:
        for key, value in _PROMISES.items():
            call[key] = value
            call.key_places[key] = call.places[key] = call.place
        required = call.get("requires", ())
        for i, sentence in enumerate(required):
            if isinstance(sentence, str) and sentence not in named:
                named[sentence] = f"sentence_{len(named) + 1}"
                term = Map(required.place_of(i))
                for key, value in (("name", named[sentence]), ("summary", sentence)):
                    term[key] = value
                    term.key_places[key] = term.places[key] = term.place
                terms.append(term)
                terms.places.append(term.place)
            if isinstance(sentence, str):
                required[i] = named[sentence]
    document["terms"] = terms
    document.key_places["terms"] = document.places["terms"] = document.place
    return True
