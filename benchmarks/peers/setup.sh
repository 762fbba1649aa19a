#!/usr/bin/env bash
# Installs the systems that benchmarks/peers.py and benchmarks/translation.py compare this project with, each in an
# environment of its own, and lays out the corpus that they train on.
#
#     benchmarks/peers/setup.sh FOLDER MULTI30K_FOLDER [SYSTEM...]
#
# MULTI30K_FOLDER holds train, val and test_2016_flickr as .en.gz and .de.gz (Elliott et al. 2016, task 1, raw).
# SYSTEMs are opennmt-tf, marian, joeynmt and ctranslate2, by default all. FOLDER takes about 4 GB with all of them.
# OpenNMT-tf and Marian need Python 3.10 (PY310=...), the others 3.11 (PY311=...).
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: $0 FOLDER MULTI30K_FOLDER [SYSTEM...]" >&2
  exit 2
fi
mkdir -p "$1"
corpus=$(cd "$2" && pwd)
cd "$1"
shift 2
systems=" ${*:-opennmt-tf marian joeynmt ctranslate2} "

for split in train val test_2016_flickr; do
  for language in en de; do
    gunzip -c "$corpus/$split.$language.gz" >"$split.$language"
  done
done

install() { # ENVIRONMENT PYTHON PACKAGES...
  local environment=$1 python=$2
  shift 2
  [[ $systems == *" $environment "* ]] || return 0
  "$python" -m venv "$environment"
  "$environment/bin/pip" install --quiet "$@"
}

# tensorflow-text asks for the package `tensorflow`, the same code as tensorflow-cpu with more in it; without
# dependencies it works with tensorflow-cpu.
install opennmt-tf "${PY310:-python3.10}" OpenNMT-tf==2.32.0 tensorflow-cpu==2.13.1 tensorflow-addons==0.21.0 \
  tensorflow-hub==0.14.0 numpy==1.24.3 protobuf==4.25.9 sacrebleu==2.6.0 sentencepiece==0.2.1 PyYAML==6.0.3
install opennmt-tf "${PY310:-python3.10}" --no-deps tensorflow-text==2.13.0
install marian "${PY310:-python3.10}" pymarian==1.12.42
install joeynmt "${PY311:-python3.11}" joeynmt==2.3.0 torch==2.13.0 numpy==1.26.4 protobuf==3.20.3 \
  sentencepiece==0.1.99 sacrebleu==2.6.0 sacremoses==0.2.0 importlib_metadata==10.2.0 tensorboard==2.20.0 \
  datasets==5.2.0 PyYAML==6.0.3
if [ -d joeynmt ]; then
  # JoeyNMT 2.3.0 passes its scheduler of the learning rate an argument that PyTorch has dropped since.
  sed -i '/"verbose": False,/d' joeynmt/lib/python3.*/site-packages/joeynmt/builders.py
fi
install ctranslate2 "${PY311:-python3.11}" ctranslate2==4.8.5 numpy==2.4.6 sentencepiece==0.2.1 PyYAML==6.0.3

# One joint vocabulary of 8,000 for both languages, in the form that each of them reads.
for environment in opennmt-tf ctranslate2 joeynmt; do
  python=$environment/bin/python
  [ -x $python ] && break
done
$python - <<'P'
import sentencepiece

common = {"input": "train.en,train.de", "vocab_size": 8000, "character_coverage": 1.0, "model_type": "bpe", "minloglevel": 1}
train = sentencepiece.SentencePieceTrainer.train
train(model_prefix="joint", unk_id=0, pad_id=1, bos_id=2, eos_id=3, **common)
train(model_prefix="marian", eos_id=0, unk_id=1, bos_id=-1, pad_id=-1, **common)

tokenizer = sentencepiece.SentencePieceProcessor(model_file="joint.model")
pieces = [tokenizer.id_to_piece(number) for number in range(8000)]
for name, entries in {"joeynmt.vocab": pieces, "opennmt-tf.vocab": ["<blank>", "<s>", "</s>", *pieces[4:]]}.items():
    with open(name, "w", encoding="utf-8") as file:
        file.writelines(entry + "\n" for entry in entries)
for split in ("train", "val", "test_2016_flickr"):
    for language in ("en", "de"):
        with (
            open(f"{split}.{language}", encoding="utf-8") as text,
            open(f"bpe.{split}.{language}", "w", encoding="utf-8") as file,
        ):
            file.writelines(" ".join(tokenizer.encode(line.strip(), out_type=str)) + "\n" for line in text)
P
mv marian.model marian.spm
