"""What the user sets: parsing it, and which source wins."""
