"""Campaigns: one text to a whole segment, at its time and pace."""
