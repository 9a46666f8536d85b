"""The routes, a module each resource: parse, call one function, render."""
