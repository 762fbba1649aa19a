"""`python -m nmt.serving.lite FOLDER` translates standard input to standard output."""

from nmt.serving.lite.translator import main

main()
