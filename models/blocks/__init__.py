"""What is coded of pictures: bands of pixels, grids of latents, blocks of coefficients, as walks over steps."""
