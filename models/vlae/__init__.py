"""Black and white pictures: VLAE."""
