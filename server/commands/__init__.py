"""What is typed after ``fenghuo``, one module a command."""
