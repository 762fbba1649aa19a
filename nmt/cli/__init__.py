"""The console command: parse, call one public function, print."""

from nmt.cli.app import main

__all__ = ["main"]
