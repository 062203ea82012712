"""What is behind `auditor.audit`: `ground`, the state of sevdesk and the inbox, and the audit of `chain`s on it."""
