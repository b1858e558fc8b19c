"""From a chapter to its runs: what a page asks for, and how it gets it."""
