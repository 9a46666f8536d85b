"""Measures the goals of the project as ratios and counts taken in one run: ``make bench``."""
