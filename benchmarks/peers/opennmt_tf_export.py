"""Exports OpenNMT-tf's trained model as its SavedModel from text to text, in the folder that setup.sh makes.

python opennmt_tf_export.py BEAM_SIZE FOLDER
"""

import sys

from opennmt_tf_translate import load_trained

if __name__ == "__main__":
    beam_size, folder = sys.argv[1:]
    load_trained(int(beam_size)).export(folder)
