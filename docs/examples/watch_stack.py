"""Print what a running MyTrading stack publishes, with pyzmq and msgpack alone.

    python watch_stack.py [STREAM] [STACK]

STREAM is status, market, orders, account or control; STACK the folder's name, `paper` unless given. docs/streams.md has
the layout of a frame and the fields of every message.
"""

import os
import struct
import sys
import tempfile
from pathlib import Path

import msgpack
import zmq

LAYOUT = 2
HEADER = struct.Struct("<BIQ8sq")  # layout version, epoch, sequence, row hash, sent (machine ns)


def folder_of(stack):
    """The folder that holds a stack's sockets: a link which `mytrading up` makes under the stack's name."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"mytrading-{os.getuid()}" / "stacks" / stack


def parse(frame):
    """(topic, sequence, message) of one frame: topic, NUL, header, body."""
    topic, _, rest = frame.partition(b"\0")
    version, _, sequence, _, _ = HEADER.unpack_from(rest)
    if version != LAYOUT:
        raise SystemExit(f"expected layout {LAYOUT}, found {version}: take this script from the version that runs")
    return topic.decode(), sequence, msgpack.unpackb(rest[HEADER.size :], strict_map_key=False)


def main(stream="status", stack="paper"):
    """Subscribe to every writer of the stream and print what comes."""
    sockets = sorted(folder_of(stack).glob(stream)) + sorted(folder_of(stack).glob(f"{stream}-*"))
    if not sockets:
        raise SystemExit(f"no stream {stream} in {folder_of(stack)}: start the stack, see `mytrading endpoints`")
    subscriber = zmq.Context().socket(zmq.SUB)
    subscriber.set(zmq.SUBSCRIBE, b"")  # one topic alone: b"clock\0", with the NUL
    for path in sockets:
        subscriber.connect(f"ipc://{path}")
    while True:
        topic, sequence, message = parse(subscriber.recv())
        print(topic, sequence, message, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
