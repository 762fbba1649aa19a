"""Trains Marian at the reference shape, in the folder and the environment that setup.sh makes for it.

python marian_train.py WORK_FOLDER SEED [OPTION...]

The options, Marian's own, say how long it trains and what it prints and saves; without them it goes on without end.
"""

import os
import sys

from pymarian import Trainer

SHAPE = """
    --type s2s --enc-type bidirectional --enc-cell gru --dec-cell gru --enc-depth 1 --dec-depth 1
    --dim-emb 256 --dim-rnn 256 --tied-embeddings-all --dropout-rnn 0.2 --label-smoothing 0.1
    --optimizer adam --learn-rate 0.001
    --train-sets train.en train.de --vocabs marian.spm marian.spm --max-length 60
    --mini-batch-words 3000 --mini-batch 128 --maxi-batch 100 --workspace 2000
    --overwrite --after-epochs 0
"""
ENDLESS = "--save-freq 100000u --disp-freq 2u"

if __name__ == "__main__":
    folder, seed, *options = sys.argv[1:]
    # The others use all cores by themselves.
    own = f"--cpu-threads {os.cpu_count()} --model {folder}/model.npz --seed {seed}"
    Trainer(" ".join([*SHAPE.split(), *(options or ENDLESS.split()), own])).train()
