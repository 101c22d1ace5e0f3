"""Plans, customers, chatbots and their WhatsApp accounts."""
