"""Scheduling many messages at once: how quick it is, what it computes, and what a message takes in Redis."""
