"""History and waste model, kept up to date on a schedule; see README.md beside this file."""
