"""`python -m nmt.serving.lite FOLDER` translates stdin to stdout."""

from nmt.serving.lite.translator import main

main()
