"""The loss, the clock, and the one function that trains."""
