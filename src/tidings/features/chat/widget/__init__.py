"""The chat on a web page."""
