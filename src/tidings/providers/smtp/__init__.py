"""Mail over SMTP: what a mail is made of, the connections to the server, and the provider."""
