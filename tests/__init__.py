"""Everything this package is tested with."""
