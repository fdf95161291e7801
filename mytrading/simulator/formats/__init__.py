"""Wire formats: request schemas, book rows and stream frames as OpenAlgo writes them."""
