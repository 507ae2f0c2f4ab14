"""Small colour pictures: VAPNEV, whose decoder is a flow."""
