"""Principals, tokens, keys and limits: who may do what, and how often."""
