"""Files that people translate: text out, translations in."""
