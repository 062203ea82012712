"""Groups of commands, one a file: what can be typed, and nothing of what it does."""
