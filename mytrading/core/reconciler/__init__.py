"""Schedule of reads of the broker's books, and confidence in them."""
