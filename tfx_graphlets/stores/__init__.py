"""The edge that reads: metadata stores, archives, and the files beside them.

Only this package touches a database. Its parts need what they read: SQLite
needs nothing, ``mlmd`` needs ml-metadata, the archive needs pyarrow.
"""
