"""What ten million members and ten thousand rules cost a node, measured by hand: `make big`.

    python -m bench.big              10 M members: members, patches, swaps, a node, its memory
    python -m bench.big patches      the patches alone; what was found of all else stays
    python -m bench.big 100_000_000  the members alone: look-ups, bytes, opening

All keep what they found in bench/results/big.json and write docs/big.md from it. It takes minutes
and gigabytes, which is why no budget of `make bench` asks for it.

Read in this order; a module imports only from the ones above it:

    parts       members and two programs over them, as files and as a store
    members     look-ups, bytes, opening
    patches     between two states of the members: time, memory and bytes
    swaps       one worker, a hundred swaps: turns of the event loop, and memory
    asking      members who ask a node all the time
    node        real nodes: replies while versions come, memory by number of workers
    page        what was found in, docs/big.md out
    __main__    all of it
"""
