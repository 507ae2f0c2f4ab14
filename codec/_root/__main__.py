"""`python -m vlcodec` is the command `vlcodec`."""

from vlcodec.cli.main import main

if __name__ == "__main__":
    main()
