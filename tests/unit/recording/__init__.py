"""Tests of recording, with meters and a clock that do as they are told."""
