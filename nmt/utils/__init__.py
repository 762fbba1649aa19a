"""What every room may use: files written whole, progress, errors, and silence for chatty libraries."""
