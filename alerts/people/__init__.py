"""Who is told: people and their addresses, sealed; what they wish and what they answer."""
