"""Runs things now, here or after a crash; decides nothing and remembers nothing that matters.

`port` says what the rest of the program may ask of an engine. `dbos` keeps the promise with threads and a
database of its own that may be deleted at any time; `inline` keeps it in one thread under virtual time.
Waiting, retrying and the memory of what is wanted live in our own tables (inbox.py), never in here.
"""
