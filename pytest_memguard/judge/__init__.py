"""Numbers in, findings out; nothing here touches anything live."""
