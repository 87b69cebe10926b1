"""The OpenAPI document of the public listener: settings in, its bytes out; it answers nothing.

What is written here by hand is held against the routes, docs/http-api.md and real replies by tests.

Read in this order; a module imports only from the ones above it:

    parts         problems, headers, parameters and bodies that operations share
    operations    what each route takes and answers
    document      the whole, with schemas made of the wire's own types
"""

from edge.openapi.document import document
from edge.openapi.parts import PROBLEMS

__all__ = ["PROBLEMS", "document"]
