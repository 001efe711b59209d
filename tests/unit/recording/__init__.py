"""Tests of recording, with meters and a clock that tests set."""
