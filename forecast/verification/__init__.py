"""How good warnings were: what was true, what was said of it before, and the scores of both."""
