"""Writes the schema; a test says when it is not current."""

from scenarios.schema.document import FILE, text

FILE.write_text(text(), encoding="utf-8")
