"""Search, scoring, and the translator: strings in, strings out."""
