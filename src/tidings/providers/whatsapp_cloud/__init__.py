"""WhatsApp through Meta's Cloud API: sending, errors and callbacks."""
