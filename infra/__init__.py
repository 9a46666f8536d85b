"""What runs around the service: the tables, their template, and the local server."""
