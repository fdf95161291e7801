"""A trial of a broker at a person's own server (`mytrading brokers check`): one unit, far from the market, taken back.

`sent_orders` keeps on disk what was sent, `server` makes the calls and reads the books, `ending` takes back whatever is
left, `trial` runs the steps, `report` compares what was seen with the table of brokers. The rule not to break: nothing
is placed before it is on disk, and nothing is placed again while the first may exist.
"""
