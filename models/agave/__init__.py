"""Small colour pictures: AGAVE."""
