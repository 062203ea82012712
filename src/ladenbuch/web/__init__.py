"""What the network sees: the ingest for webhooks, and later the pages."""
