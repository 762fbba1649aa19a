"""What recurrent cells remember, and how far back their gradients reach."""
