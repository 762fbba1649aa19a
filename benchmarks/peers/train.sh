#!/usr/bin/env bash
# Trains OpenNMT-tf and Marian, installed by setup.sh in FOLDER, until their translations have normal lengths and end,
# and exports OpenNMT-tf's SavedModels; for benchmarks/translation.py. Takes more than an hour on 2 cores.
#
#     benchmarks/peers/train.sh FOLDER
set -euo pipefail

if [ $# != 1 ]; then
  echo "usage: $0 FOLDER" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
export CUDA_VISIBLE_DEVICES=-1

opennmt-tf/bin/onmt-main --model "$here/opennmt_tf_model.py" --model_dir=trained/opennmt-tf --seed=1 \
  --config "$here/opennmt_tf.yml" "$here/opennmt_tf_checkpoints.yml" train
for beam in 5 1; do
  opennmt-tf/bin/python "$here/opennmt_tf_export.py" "$beam" "exported/opennmt-tf-$beam"
done
mkdir -p trained/marian
marian/bin/python "$here/marian_train.py" trained/marian 1 --after 600u --save-freq 100u --disp-freq 50u
