"""Decisions as pure functions of their arguments: no clock, no random numbers, no I/O."""
