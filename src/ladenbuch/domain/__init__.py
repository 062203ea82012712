"""Decisions as pure functions of values: no I/O, no clock, no settings, no vendor wire formats.

An `Order` (what happened in the shop) becomes dated `facts`; `plan` compares them with the `books`
(what we have posted) and returns actions, waiting items and attention items, each with its reason.
"""
