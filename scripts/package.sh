#!/bin/sh
# Builds the wheel and the sdist into dist/, or a folder that is given, from a clean copy of what is tracked, so that
# nothing else that lies in the checkout gets into them. `--try` installs the wheel alone into an empty environment, outside
# the checkout, and tries it: training, translation, export, and an answer from the export.
set -eu
cd "$(dirname "$0")/.."
python=$("${PYTHON:-.venv/bin/python}" -c "import sys; print(sys.executable)")
try=
[ "${1-}" = --try ] && { try=yes; shift; }
mkdir -p "${1:-dist}"
output=$(cd "${1:-dist}" && pwd)
constraints=$PWD/constraints.txt
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT INT TERM

git archive --prefix=checkout/ HEAD | tar -x -C "$temporary"
"$python" -m build --outdir "$temporary/dist" "$temporary/checkout"
cp "$temporary"/dist/* "$output"
[ "$try" ] || exit 0

cd "$temporary"
rm -rf checkout
"$python" -m venv empty
empty/bin/python -m pip install -q --disable-pip-version-check --no-input -c "$constraints" dist/*.whl
short="--set training.max_steps=60 --set training.validate_every=60 --set training.warmup_steps=20 --set decoding.beam_size=1"
# shellcheck disable=SC2086  (several words)
empty/bin/nmt quickstart --run run $short
echo 'Restart the device.' | empty/bin/nmt translate run
empty/bin/nmt export run --to translator
empty/bin/nmt verify translator
empty/bin/python - <<'PYTHON'
import tensorflow as tf, tensorflow_text

model = tf.saved_model.load("translator/1")
answer = model.signatures["serving_default"](text=tf.constant(["Restart the device."]))
print(answer["translation"].numpy()[0].decode())
PYTHON
echo "The wheel works without the checkout: $(ls dist/*.whl)"
