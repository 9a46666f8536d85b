"""One file a flow. To add a wizard, add a file that defines ``flow``; nothing else changes."""
