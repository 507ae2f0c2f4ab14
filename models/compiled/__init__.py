"""Steps of walks in compiled loops: the integers of torch and numpy, where the processor and numba serve."""
