"""Photographs: pictures of any size, RGB and grey."""
