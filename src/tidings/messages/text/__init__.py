"""Texts: templates, and how many SMS they take."""
