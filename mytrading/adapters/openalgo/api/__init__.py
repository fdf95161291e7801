"""Every REST call of an OpenAlgo server as a typed function, grouped by subject.

Each function takes the client first, sends exactly one request and raises `OpenAlgoError` for an answer that is no
success, `NotSent` or `MaybeSent` for none. Nothing here repeats a request, and daemons send orders through the venue,
which journals what it does.
"""
