"""Tests of measuring, with meters and a clock that tests set."""
