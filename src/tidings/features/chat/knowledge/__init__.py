"""Knowledge bases: what chatbots know, and how they find it."""
