"""What a person looks at: the report as values and as a page, a graphlet as a graph."""
