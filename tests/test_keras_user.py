"""A notebook user's session: each line is what a Keras user would type."""

import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import nmt

SENTENCES = ["the cat sat on the mat", "the dog sat", "a cat ran", "the dog ran on the mat"]
SMALL = {"units": 8, "num_layers": 1}  # where the number of layers changes nothing
TRANSLATIONS = ["die katze sass", "der hund sass", "eine katze lief", "der hund lief"]


@pytest.fixture(scope="module")
def tokenizer():
    return nmt.Tokenizer(nmt.train_tokenizer([*SENTENCES, *TRANSLATIONS], vocabulary_size=300))


@pytest.fixture(scope="module")
def arrays(tokenizer):
    source = tokenizer.encode(tf.constant(SENTENCES)).to_tensor().numpy()
    target = tokenizer.encode(tf.constant(TRANSLATIONS)).to_tensor().numpy()
    return source, target


def on_logits():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def test_a_translation_model_from_compile_to_translate(tokenizer, arrays, tmp_path):
    source, target = arrays
    model = nmt.Seq2Seq(vocabulary_size=tokenizer.vocabulary_size, units=24, num_layers=1, seed=1)
    assert model((source, target)).shape == (*target.shape, tokenizer.vocabulary_size)

    # Both losses are the same number; padding counts in neither.
    model.compile(optimizer="adam")
    fused = model.evaluate(source, target, verbose=0)
    model.compile(optimizer="adam", loss=on_logits(), metrics=["accuracy"])
    assert model.evaluate(source, target, verbose=0)[0] == pytest.approx(fused, abs=1e-5)

    # A Keras loss trains, on arrays and on tf.data.
    model.fit(source, target, epochs=1, verbose=0)
    batches = tf.data.Dataset.from_tensor_slices((source, target)).batch(2)
    model.fit(batches, epochs=1, verbose=0)

    # So does the fused one, with Keras's callbacks and metrics.
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="auto", metrics=["accuracy"])
    history = model.fit(
        batches,
        validation_data=batches,
        epochs=35,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=20, monitor="val_loss", restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True, initial_value_threshold=2.0),
            keras.callbacks.TensorBoard(tmp_path / "logs"),
        ],
    ).history
    assert history["val_loss"][-1] < 0.5 * history["val_loss"][0]
    assert history["val_accuracy"][-1] > 0.5
    assert any((tmp_path / "logs").rglob("events*"))
    assert isinstance(keras.saving.load_model(tmp_path / "best.keras"), nmt.Seq2Seq)

    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again((source, target)), model((source, target)))
    # It is compiled as it was.
    assert again.evaluate(batches, verbose=0) == pytest.approx(model.evaluate(batches, verbose=0), abs=1e-6)

    translations = nmt.Translator(model, tokenizer).translate([*SENTENCES, ""])
    assert translations[-1] == ""
    assert sum(ours == theirs for ours, theirs in zip(translations, TRANSLATIONS, strict=False)) >= 3
    greedy = nmt.Translator(model, tokenizer, beam_size=1, limit_repetition=False, split_sentences=False)
    assert greedy.translate(SENTENCES[0]) == translations[0]
    keras.utils.set_random_seed(3)  # which frees what TensorFlow has loaded
    assert greedy.translate(SENTENCES[0]) == translations[0]
    alone, together = model.generate(source[:1]).numpy()[0], model.generate(source).numpy()[0]
    np.testing.assert_array_equal(alone[alone > 0], together[together > 0])


def test_both_losses_train_alike(arrays):
    """Five updates from the same weights: the loss of every update is the same to 1e-5."""
    source, target = arrays
    losses = []
    for loss in ("auto", on_logits()):
        model = nmt.Seq2Seq(300, seed=1, **SMALL)
        model.compile(optimizer="sgd", loss=loss)
        losses.append(model.fit(source, target, batch_size=4, epochs=5, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, atol=1e-5)


def test_label_smoothing_and_sample_weights(arrays):
    source, target = arrays
    model = nmt.Seq2Seq(300, seed=1, **SMALL)
    model.compile(label_smoothing=0.1)
    smoothed = model.evaluate(source, target, verbose=0)
    categorical = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    logits, real = model((source, target)), target != 0
    assert smoothed == pytest.approx(float(categorical(tf.one_hot(target[real], 300), logits[real])), abs=1e-5)
    with pytest.raises(ValueError, match="expected `label_smoothing` 0 with a Keras loss"):
        model.compile(loss=on_logits(), label_smoothing=0.1)

    weights = np.array([1.0, 0.0, 2.0, 0.5], "float32")
    results = []
    for loss in ("auto", on_logits()):
        model.compile(loss=loss)
        results.append(model.evaluate(source, target, sample_weight=weights, verbose=0))
    assert results[0] == pytest.approx(results[1], abs=1e-5)


def test_pairs_of_pairs_and_what_is_no_pair(arrays):
    source, target = arrays
    model = nmt.Seq2Seq(300, seed=1, **SMALL)
    model.compile()
    plain = model.evaluate(source, target, verbose=0)
    assert model.evaluate((source, target), target, verbose=0) == pytest.approx(plain, abs=1e-6)
    assert model.predict((source, target), verbose=0).shape == (*target.shape, 300)
    with pytest.raises(ValueError, match=r"expected batches of \(source, target\)"):
        model.fit(source, epochs=1, verbose=0)


@pytest.mark.parametrize("options", [{}, {"metrics": ["accuracy"]}, {"loss": on_logits()}])
def test_a_language_model_from_compile_to_samples(tokenizer, arrays, tmp_path, options):
    texts, _ = arrays
    model = nmt.LanguageModel(vocabulary_size=tokenizer.vocabulary_size, units=16)
    assert model(texts).shape == (*texts.shape, tokenizer.vocabulary_size)
    model.compile(optimizer=keras.optimizers.Adam(0.01), **options)
    data = (texts, texts) if "loss" in options else (texts,)
    history = model.fit(*data, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.fit(tf.data.Dataset.from_tensor_slices(data if len(data) > 1 else texts).batch(2), epochs=1, verbose=0)
    model.save(tmp_path / "lm.keras")
    again = keras.saving.load_model(tmp_path / "lm.keras")
    np.testing.assert_array_equal(again(texts), model(texts))
    drawn = nmt.make_sampler(model, max_tokens=5)(tf.zeros((0,), tf.int32), 3, tf.constant([1, 2]))
    assert len(tokenizer.decode(drawn).numpy()) == 3


def test_both_losses_of_a_language_model_are_equal(arrays):
    texts, _ = arrays
    model = nmt.LanguageModel(vocabulary_size=300, units=8, seed=1)
    model.compile()
    fused = model.evaluate(texts, verbose=0)
    model.compile(loss=on_logits())
    assert model.evaluate(texts, texts, verbose=0) == pytest.approx(fused, abs=1e-5)


@pytest.mark.parametrize("make", [nmt.Seq2Seq, nmt.LanguageModel])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_precision_by_argument_alone(make, dtype, arrays):
    source, target = arrays
    model = make(300, dtype=dtype, **SMALL)
    assert keras.config.dtype_policy().name == "float32"
    inputs = (source, target) if make is nmt.Seq2Seq else target
    assert np.isfinite(np.asarray(tf.cast(model(inputs), tf.float32))).all()
    if dtype.startswith("mixed"):
        assert {weight.dtype for weight in model.weights} == {"float32"}
        model.compile()
        assert np.isfinite(model.fit(source, target, epochs=1, verbose=0).history["loss"]).all()
    assert make.from_config(model.get_config()).dtype_policy.name == dtype


def test_layers_on_keras_inputs_make_a_functional_model_that_saves(arrays, tmp_path):
    source, target = arrays
    ids, shifted = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedding = nmt.TiedEmbedding(300, 8)
    memory, state = nmt.Encoder(units=8, num_layers=2)(embedding(ids))
    vectors, weights = nmt.Decoder(units=8, num_layers=2)(embedding(shifted), memory, state)
    model = keras.Model([ids, shifted], [embedding(vectors, reverse=True), weights])
    model.save(tmp_path / "functional.keras")
    again = keras.saving.load_model(tmp_path / "functional.keras")
    for ours, theirs in zip(model([source, target]), again([source, target]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    padded = np.pad(source, ((0, 0), (0, 3)))
    np.testing.assert_allclose(model([padded, target])[0], model([source, target])[0], atol=1e-5)


def run(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    # Nothing that TensorFlow has set in this process goes along.
    before = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=before | environment, capture_output=True, text=True, check=False)


LOAD = """
import numpy as np
model = keras.saving.load_model(sys.argv[1] + "/m.keras")
arrays = np.load(sys.argv[1] + "/arrays.npz")
np.testing.assert_array_equal(model((arrays["source"], arrays["target"])), arrays["logits"])
"""


@pytest.fixture(scope="module")
def saved(arrays, tmp_path_factory):
    """A folder with a model, and with arrays and their logits."""
    folder, (source, target) = tmp_path_factory.mktemp("saved"), arrays
    model = nmt.Seq2Seq(vocabulary_size=300, units=8)
    model.save(folder / "m.keras")
    np.savez(folder / "arrays.npz", source=source, target=target, logits=model((source, target)))
    return folder


@pytest.mark.parametrize("imports", ["import nmt, keras", "import keras, nmt"])
def test_a_saved_model_loads_in_a_fresh_process_with_equal_logits(imports, saved):
    finished = run(f"import sys\n{imports}{LOAD}", saved)
    assert finished.returncode == 0, finished.stderr


def test_importing_prints_and_changes_nothing(saved):
    code = """
import os, random, sys
import numpy as np
before = dict(os.environ), random.getstate(), np.random.get_state()[1].tolist()
import nmt
nmt.GRU
import keras
after = {name: os.environ.get(name) for name in before[0]}, random.getstate(), np.random.get_state()[1].tolist()
assert after == before
assert not {"KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_XLA_FLAGS"} & set(os.environ)
assert keras.config.dtype_policy().name == "float32"
print("imported", flush=True)
print("imported", file=sys.stderr, flush=True)
"""
    finished = run(code + LOAD, saved)  # a saved model is loaded after these imports too
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "imported\n"
    assert finished.stderr.startswith("imported\n")


def test_making_models_changes_no_random_state(arrays):
    source, target = arrays
    before = random.getstate(), np.random.get_state()[1].tolist()
    model = nmt.Seq2Seq(vocabulary_size=300, units=8, seed=3)
    model((source, target))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    same = nmt.Seq2Seq(vocabulary_size=300, units=8, seed=3)
    for ours, theirs in zip(model.weights, same.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_backend_is_one_clear_error():
    finished = run("import nmt; nmt.GRU", KERAS_BACKEND="jax")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith(
        "ImportError: nmt: expected Keras's backend to be tensorflow, got jax: set KERAS_BACKEND=tensorflow"
    )


def test_texts_are_strings(tokenizer):
    translator = nmt.Translator(nmt.Seq2Seq(vocabulary_size=300, units=8), tokenizer)
    for wrong in (b"bytes", None, 3):
        with pytest.raises(TypeError, match=r"expected str, got .* for text 1"):
            translator.translate(["fine", wrong])
