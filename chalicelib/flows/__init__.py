"""Wizard definitions as data, and the rules of their steps. Pure: no clock, no I/O."""
