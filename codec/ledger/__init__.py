"""What the likelihood promises and what files take."""
