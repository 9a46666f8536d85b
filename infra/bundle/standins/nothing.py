"""A package whose modules are imported by their own names."""
