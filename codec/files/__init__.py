"""The bytes of a .vlz file: fields, chunks, checksums; knows no model."""
