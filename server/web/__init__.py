"""The HTTP side: interfaces, live stream and pages."""
