"""Results that print well: as text in a REPL, coloured in a notebook.

What the rooms below compute are values; here each gets its renderer of `mstore.render`, so that
no room of theirs knows how it looks. A module a subject, so that a command loads one.
"""
