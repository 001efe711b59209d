"""Every private name of pytest that is used: what a new version of it may take away."""
