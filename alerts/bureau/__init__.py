"""What a bureau decides: how long, how automatic, to whom, and when to be silent."""
