"""Networks, their integer arithmetic, their training and their weights."""
