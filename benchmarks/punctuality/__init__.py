"""How late a lone message arrives, by the whole road from its row to the provider."""
