"""CEL, the Common Expression Language: text in, a checked tree and an evaluator out.

Read in this order; a module imports only from the ones above it:

    syntax        the tree
    values        CEL's values where Python's differ: timestamps, durations, equality, map keys
    spelling      the tree in, its text out
    lexer         text in, tokens out
    parser        tokens in, the tree out; the whole grammar
    functions     the standard's functions, one table
    reading       how a closure reads facts, and what absence means
    evaluator     the tree in, a closure out; `evaluate` for plain CEL
    kinds         kinds of expressions: which compare, which overload fits
    names         attributes by longest match, and what was probably meant
    subset        what a rule may call, and what is refused by name
    checker       names to attributes, types, needs; refuses what a rule may not use
"""
