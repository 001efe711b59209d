"""Findings in, text out; nothing here touches anything live."""
