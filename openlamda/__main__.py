"""`python -m openlamda`."""

from openlamda.cli.app import main

if __name__ == "__main__":
    main()
