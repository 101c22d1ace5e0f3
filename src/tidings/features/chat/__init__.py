"""Chats: a user's message in, an answer by the AI or a person out, and webhooks for the customer."""
