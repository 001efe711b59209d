"""Tests of measuring, with meters and a clock that do as they are told."""
