"""`python -m governance` is the `governance` command."""

from governance.cli import main

if __name__ == "__main__":
    main()
