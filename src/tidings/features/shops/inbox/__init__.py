"""What people tell a shop, as the shop itself reads it: replies, opt-outs, consents."""
