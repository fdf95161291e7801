"""Order facts that all machines share: states, slicing, rate limit, marketable price."""
