"""Snapshots: signed parts out of the builder, through a store, into the memory of an edge.

Read in this order; a module imports only from the ones above it:

    errors        what can go wrong between the store and the edge, and what to do about it
    keys          JWK sets on disk: who may sign
    manifest      the one mutable object: version, dates, parts
    signing       a manifest in, a compact JWS out, and back
    pauses        the control object: what operators stopped at once
    trust         which offered manifest may be served; pure
    chains        which patches lead to a part: those a publisher keeps and a node takes; pure
    bundle        parts: compressed, addressed by content, checked when opened
    columns       fixed-width rows behind a magic and a format: the frame of membership parts
    patch         two states of a part in, the rows between them out, and back
    membership    visitor key in; segments, traits, scores, interests out; mapped, never loaded
    census        columns of all visitors in, membership parts out: the builder's half
    erased        whom every node must forget: hashes in, a part out, and back
    recommendations  an item in, its neighbours out; a key in, what its member bought out; mapped
    contents      which parts a bundle must have, and who reads each
    snapshot      a bundle, verified and opened, ready to serve
    store         where bundles live: memory, obstore, read-only HTTP (a package)
    history       the newest ledger and versions of a store, and whether they agree
    publish       parts in, a new version in the store, or nothing
    pausing       a change in, the next control object in the store
    reissue       a version that is there, under a new number: renewed, rolled back, promoted, or
                  with more of its visitors erased
    garbage       what no version needs any more: found and removed
    local         the copy on a node's disk: what a cold start and the workers open
    download      a part from a store onto that disk, gone on with where it broke off
    upgrade       a part that is here in an older state, made the newer one by patches
    polling       how long to wait before the next poll; pure
    controls      follows the control object
    sync          poll, trust, fetch, verify, point
    eventlog      rows in, rotating NDJSON files out
    eventfiles    event files of a folder or a store in, rows out, each once
    subject       one person's rows, and what they say of consent and experiments
    audit         event files in; which consent records hold together out
    spool         the event files on a node's disk: ended, packed, kept within their bytes
    upload        event files from a spool into a store
    retention     event rows that nobody may use any more leave the store
    build         data in, a signed snapshot out (a package with a map of its own)
"""
