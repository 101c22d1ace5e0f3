"""How late other people's messages are while somebody changes a great deal at once."""
