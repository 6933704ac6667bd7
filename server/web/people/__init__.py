"""Signing up, changing and leaving; and the bureau's own lists."""
