"""The decision core: facts in, a decision and its reasons out. No I/O, no clock, no randomness.

Read in this order; a module imports only from the ones above it:

    errors        what can go wrong, and what the caller can do about it
    reasons       why a decision came out as it did
    consent       purposes and grants as bits
    tcstring      an IAB TC string in, what it says out, or where it is wrong
    tcf           what a TC string says, as grants
    jurisdiction  country and region in; whether grants need a yes there out
    schema        what a rule may read, of which type, for which purpose
    interest      how interest fades, and its scale of 0 to 100
    events        what a page reports
    playbook      what people wrote, with the place of every word
    features      what a segment may read: the builder's schema
    rules         CEL: syntax, values, parser, evaluator, checker (a package with a map of its own)
    clock         the calendar of one time zone
    hours         weekly hours as minutes of the week
    admission     a value in; it, or what of it is granted, or ABSENT out
    facts         what is known of one visitor on one request, and granted
    experiments   buckets and variants
    ledger        what is never renumbered: dictionary ids, bucket maps
    profile       what the cookie carries between requests
    measures      what is counted over events, in windows
    cart          a cart and what an event does to it in, the cart after it out
    lesson        a visit's events in, one new profile out
    learn         a visit begins, a rule was seen, somebody signs in: a new profile
    runs          cells of measures as few numbers, and back
    marks         cells of different things as numbers and three bytes each, and back
    tight         lists of numbers as few bytes, and back
    base64url     bytes as characters, in one spelling
    compact       the profile as claims of the ledger's integers
    fitting       as much of a profile as fits into a cookie
    predicates    the slow truth: one predicate, one visitor
    spans         parts of a line
    leaves        one comparison as a predicate
    lowering      a checked expression as conjunctions of predicates
    planes        one attribute, all clauses of a block
    index         the fast truth: all predicates, one visitor
    escapes       a value as text, safe where it stands
    ops           the ops of a template: a look-up in, text out
    layouts       the indentation of blocks that are put into a layout
    templates     Mustache: text in, op list out, text at the end
    markup        where in HTML a token may stand
    jsonform      where in JSON a token may stand
    placing       which escape each token of a template gets, or why it may not stand there
    tables        the records of a program: rules, slots, fragments, tags
    engine        one slot's rules and facts in, a decision out
    thresholds    when time alone may change what a slot shows
    program       the compiled playbook: bytes in, decisions out
    changes       two programs: what differs, and for how many
    findings      what is wrong with a playbook, each with its place
    measuring     measures checked: their attributes out
    declaring     settings, segments and tags checked: a schema out
    shadows       rules that can never be reached
    drafts        rules checked, in match order
    timed         rules in match order in, a slot's thresholds of time out
    tokens        fragments parsed, each token known
    compiling     a written playbook in, a program out, or every error at once
    rehearsal     a playbook's own tests against its program
    conditions    each condition of an expression, and what it found
    explain       why a decision came out so, and why a rule did not take the slot
    plainly       the same, told to whom it is shown: in plain words, naming no rule
    recommend     items at hand and items bought in, ranked items out
    silences      warnings, but for those that are silenced by name
    domains       what the value of an attribute can be at all
    certain       conditions that say the same of everybody
    suspects      rules that are legal and hardly meant
    lint          what is legal and still not meant
    processing    what a playbook processes, and for which purpose
"""

from __future__ import annotations

from decisions.compiling import compile_playbook
from decisions.engine import Decision
from decisions.errors import EvaluationError, PlaybookErrors
from decisions.program import Program
from decisions.rules.evaluator import evaluate

__all__ = [
    "Decision",
    "EvaluationError",
    "PlaybookErrors",
    "Program",
    "compile_playbook",
    "evaluate",
]
