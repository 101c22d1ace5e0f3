"""Event messages: reminders, speaker alerts, sponsor and peer messages, rating requests, wrap-ups."""
