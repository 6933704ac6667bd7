"""Numbers in, numbers out: quality, windows, filters, criteria, proposals."""
