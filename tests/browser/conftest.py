"""What holds for every page that is looked at."""

from playwright.async_api import expect

# Long enough for a busy machine; what is there sooner is seen sooner.
expect.set_options(timeout=15_000)
