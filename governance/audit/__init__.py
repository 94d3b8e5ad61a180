"""The tamper-evident log as bytes and integers: leaves, tree, tiles, notes, packages, and their verification.

Nothing here knows a database or a network, so that an auditor can run it, or read it, alone.
"""
