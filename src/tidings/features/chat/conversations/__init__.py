"""Conversations: what users write, and the order in which they are answered."""
