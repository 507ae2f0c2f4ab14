"""The command with the toy family."""

import toy
from vlcodec.cli.main import main
from vlcodec.models import registry

for entry in toy.ENTRIES:
    registry.add(entry)
main()
