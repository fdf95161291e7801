"""Conformance of brokers: live stacks at simulators that speak as each broker, judged by the venue's own record.

`make brokers` runs it. It starts processes of its own and touches no other; its profiles are the simulator's, made from
recorded facts, never from the program's own table of brokers.
"""
