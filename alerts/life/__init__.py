"""The life of a warning: its states and steps, who did what, and what was said of it."""
