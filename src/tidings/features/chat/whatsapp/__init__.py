"""WhatsApp: what Meta and the QR service tell."""
