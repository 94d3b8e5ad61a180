"""Model scanners in a process and an environment of their own: what they cost, and what they break, stays there.

`environment` makes the environment, `process` keeps the process; `program` and the `engine_*` files run in it, with its
Python and none of this package.
"""
