"""What Node.js programs load when they are watched: ``preload.cjs``."""
