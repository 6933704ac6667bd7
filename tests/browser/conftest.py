"""What holds for every page that is looked at."""

from playwright.async_api import expect

# Software draws the map, on a machine that does other things.
expect.set_options(timeout=15_000)
