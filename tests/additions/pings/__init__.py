"""A small feature: it sends one text to one number."""
