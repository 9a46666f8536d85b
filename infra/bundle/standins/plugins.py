"""For ``pydantic.plugin._loader``: there are no plugins."""


def get_plugins() -> tuple[()]:
    """Give none."""
    return ()
