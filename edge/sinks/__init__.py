"""Where event rows go. `put` is called while a visitor waits: it takes what rows are made of and
returns at once.

Read in this order; a module imports only from the ones above it:

    row           what one row of the event log says
    trail         the end of a node's consent records, each with the hash of the one before
    consents      what one choice leaves in the log
    rows          what one visit leaves in the log, made behind the reply
    sink          the protocol, and the list for tests
    logged        the rotating log, written by a thread behind the replies
"""
