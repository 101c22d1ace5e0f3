"""Reads the agendas that pretalx and frab export."""
