"""``stepwell``, the operators' command line: docs/cli.md.

It builds only what a command needs: the tables' names and a client, and no keys. So whoever
may read the tables can look after them without being able to open a session.
"""
