"""Stepwell: a serverless session store for multi-step forms."""

__version__ = "0.1.0"
