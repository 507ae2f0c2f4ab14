"""Steps of walks in Triton kernels, which keep a band on the device."""
