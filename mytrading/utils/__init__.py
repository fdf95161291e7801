"""Two modules under the names that the README of version 0.1 gave them."""
