"""Faults: real nodes, a real origin, one thing wrong at a time; what is served, said, and mended.

Read in this order:

    inside/sitecustomize   what Python runs first in a node's processes: clock, names and death
    switches               the file through which a test turns those on and off
    origin                 an HTTP origin that can be told to go wrong
    scene                  a node of two workers, its origin, and somebody who keeps asking
    fault                  what a fault is, and what must be true of each that is over
    matrix                 the faults, each a function of a scene
    __main__               runs them all and writes docs/faults.md
    soak                   load, swaps and random pairs of faults for ten minutes

`make faults` and `make soak` run by hand; `make test` runs the faults that take no time.
"""
