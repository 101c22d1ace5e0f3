"""Shops for measurements and rehearsals: many customers at once, and how long one shop's orders take."""
