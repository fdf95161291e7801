"""The process skeleton: loop, sockets, journal follower, machine, timers and workers."""
