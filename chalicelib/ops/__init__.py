"""What happened to sessions, and what it costs: the stream, the sweep, analytics and health."""
