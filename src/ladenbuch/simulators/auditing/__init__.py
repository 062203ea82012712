"""The two audits behind `auditor.audit`: `first` documents only, or the whole `chain`; both stand on `ground`."""
