"""Proactive messages: what nobody asked for, written because a contact's state calls for it, under safeguards."""
