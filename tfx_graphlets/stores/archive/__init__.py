"""Archives: history that outlives its store, as Parquet files."""
