"""The command `vlcodec`: a thin skin over `vlcodec.facade`, one file a command."""
