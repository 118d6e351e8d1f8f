"""What is shipped: predictions, models that others can load, and a server for them."""
