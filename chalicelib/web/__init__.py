"""HTTP: requests in, answers out. The only room that knows Chalice."""
