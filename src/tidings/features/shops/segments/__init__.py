"""Segments: saved questions about a shop's customers, and whom they mean."""
