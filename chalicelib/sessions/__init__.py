"""Sessions: what they are, how they change, and what a store must promise. Pure."""
