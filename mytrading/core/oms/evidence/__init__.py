"""Evidence about orders and positions: trade book, unconfirmed fills, positions over night."""
