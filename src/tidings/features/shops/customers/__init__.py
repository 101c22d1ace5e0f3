"""Customers and their orders, as a shop's events tell of them."""
