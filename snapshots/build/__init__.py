"""The builder: a playbook and data in, a signed snapshot out.

All but the reading and writing of playbooks needs the `build` extra.

Read in this order; a module imports only from the ones above it:

    yaml12          YAML 1.2 with the place of every value; duplicate keys are refused
    shapes          a value against a struct: every mismatch at once
    reading         a folder in, a WrittenPlaybook out, or every error at once
    sources         sources.yaml: which column is what
    editors         JSON Schemas of a playbook's files
    republish       a changed playbook beside the segments that are there
    scaffold        `edgewise new`: a small playbook to start from
    feeds           files in, tables out; columns that are not there are refused by name
    ahead           statements that run while the next ones are compiled
    dialect         the functions of DuckDB that Ibis has no word for
    clean           columns in, typed values out; what is impossible is counted and left out
    catalogue       items and their categories: the feed's words into the shop's
    identity        which rows are one customer; traits; visitor keys
    features        recency, frequency, monetary value, windows, per category
    expressions     CEL in, Ibis expressions out, or an error with a caret
    segments        who is in which segment, and everybody's scores
    interests       faded purchases, and what events taught, per customer
    eventrows       event files in; one table of their rows out, each once
    taught          event rows in; what they taught of each customer out
    assemble        columns and program in, parts out
    recommendations  purchase lines in; which items go together, and what everybody bought last, out
    patches         the version before and new membership parts in, the patches between them out
    population      two memberships in; a sample of their members out, as either knows them
    review          the version before and the next one's parts in; what it would change out
    report          what a build says of itself, while it runs and when it is done
    publisher       where a version goes, who signs it, in which formats
    unheld          what a playbook names and no data holds: warnings
    pipeline        the whole way, with progress
    anew            a published version's definitions and other data in, its membership out
"""

from __future__ import annotations

from snapshots.build.reading import read_playbook

__all__ = ["read_playbook"]
