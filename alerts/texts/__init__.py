"""What is said, in each language and on each channel."""
