"""When to read the broker's books, and how far they are believed."""
