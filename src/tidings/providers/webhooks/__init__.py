"""Webhooks that go out to customers' servers: signed, and only to addresses that were checked."""
