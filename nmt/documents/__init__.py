"""Files that people translate: reads their text, and writes it back translated."""

from nmt.documents.translation import FileReport, translate_file

__all__ = ["FileReport", "translate_file"]
