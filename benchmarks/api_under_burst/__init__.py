"""How long somebody waits for the API of `tidings up` while its workers have their hands full."""
