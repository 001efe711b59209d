"""How values are stored: for each class a table of its fields and of their stored names."""
