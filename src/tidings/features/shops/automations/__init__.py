"""Automations: what is written to whom when something happens in a shop."""
