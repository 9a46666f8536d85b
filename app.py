"""The Lambda functions' entry points."""

from chalicelib.bootstrap import create_app

app = create_app()
