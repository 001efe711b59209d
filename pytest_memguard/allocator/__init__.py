"""Makes readings reproducible: trim, slack, filler, free chunks, tcache, when to collect."""
