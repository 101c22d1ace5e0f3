"""Shops: webhooks start automations, campaigns reach audiences."""
