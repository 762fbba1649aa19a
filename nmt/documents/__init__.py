"""Files that people translate: reads their text, and writes it back translated."""
