"""Where event rows go: a protocol, a list for tests, and the rotating log."""
