"""Requests that do not wait for each other, measured by hand: `make load`.

    python -m bench.load             a node at 60 % of what it can, then at twice as much
    python -m bench.load 2           the same for two seconds each, to see that it runs

It keeps what it found in bench/results/load.json and writes docs/load.md from it. It takes four
minutes, Linux and two cores for itself, which is why no budget of `make bench` asks for it.

Read in this order; a module imports only from the ones above it:

    arrivals    when requests are due, and what their times say
    client      requests that are due in, what became of each out
    scene       a node, a bare app, and the requests for both
    calm        60 % of capacity, the node and the bare app in turn
    overload    twice the capacity, while events come and snapshots swap
    page        what was found in, docs/load.md out
    __main__    all of it
"""
