"""Shops themselves: added, changed, their keys and secrets, their accounts at Mitto."""
