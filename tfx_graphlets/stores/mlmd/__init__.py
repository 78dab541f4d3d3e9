"""Any backend of ML Metadata, read by its API."""
