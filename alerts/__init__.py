"""The warning as a domain: its life, its words, its audience and its channels."""
