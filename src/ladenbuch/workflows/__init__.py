"""The business, one process per file. Every order path ends in `settle`; waiting is a due mark, never a sleep."""
