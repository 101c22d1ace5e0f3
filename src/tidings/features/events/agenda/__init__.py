"""Reads the agendas that pretalx, frab and others export."""
