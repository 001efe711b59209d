"""Who did it: from allocations to source lines."""
