"""Webhooks to customers' servers: endpoints, events, and their delivery."""
