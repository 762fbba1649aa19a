"""What several tests share: runs trained on a tiny task, each made once for all processes that run tests."""

import fcntl
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from nmt.cli.options import rewrite_no_graphs
from tests.helpers import SHIPPED_DECODING, digit_strings, language_model_config, reversal_config, validating_by_loss

# The same examples in every run, so that a commit passes or fails for what it changes. Other examples, from a new seed
# each time, are drawn by `pytest --hypothesis-profile random`. No deadline: on a busy machine one example takes long.
settings.register_profile("random", deadline=None)
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")

# Fixtures that train or export; and tests that train, compile for a long time, or start processes or a browser.
_SHARED_RUNS = {"trained_run", "second_run", "exported", "language_model_run"}
_MAKES_SHARED_RUNS = "test_ensemble.py"
_SLOW_PLACES = (
    "nmt/analysis/", "nmt/training/", "nmt/data/preparation.py", "nmt/inference/translator.py", "nmt/models/seq2seq.py",
    "tests/analysis/", "tests/augmentation/", "tests/examples/", "tests/runs/test_format_1.py", "tests/serving/",
    "tests/test_accelerators.py", "tests/test_each_cell.py", "tests/training/",
    "tests/layers/test_cells.py::test_compiled_with_unknown_shapes",
    "tests/layers/test_cells.py::test_parallel_scan_equals_the_loop_over_2000_steps",
    "tests/layers/test_cells.py::test_sequence_and_gradient_equal_the_stepped_cell",
    "tests/text/test_masking.py::test_masking_equals_the_plain_rules",
    "tests/decoding/test_shortlist.py::test_a_shortlist_of_everything",
    "tests/decoding/test_scorers.py::test_sentences_of_an_ensemble",
    "tests/decoding/test_constraints.py::test_constrained_sentences",
    "tests/decoding/test_constraints.py::test_no_repetition_equals",
    "tests/decoding/test_constraints.py::test_a_translation_has_each_symbol",
    "tests/decoding/test_constraints.py::test_everything_together", "tests/decoding/test_tags.py::test_a_translation",
    "tests/decoding/test_beam_search.py::test_a_sentence_does_not_depend_on_its_batch",
    "tests/decoding/test_beam_search.py::test_stopping_early", "tests/decoding/test_scorers.py::test_stopping_early",
    "tests/decoding/test_beam_search.py::test_every_hypothesis_ends", "tests/inference/test_text_to_text.py",
    "tests/models/test_seq2seq.py::test_padding_and_batching", "tests/layers/test_gru.py::test_compiled_loops",
    "tests/layers/test_cross_entropy.py::test_consistency", "tests/text/test_tokenizer.py::test_any_text_comes_back",
    "tests/text/test_masking.py::test_the_store_holds_symbols", "tests/test_keras_user.py",
    "tests/training/test_trainer.py::test_half_precision", "tests/training/test_trainer.py::test_a_training_step",
    "tests/cli/test_analysis.py", "tests/cli/test_compilation_cache.py", "tests/cli/test_streams.py",
    "tests/cli/test_quickstart.py::test_the_wheel",
    "tests/cli/test_cli.py::test_nothing_but_the_validations", "tests/cli/test_cli.py::test_prepare_reports",
    "tests/serving/test_client.py::test_a_program_that_writes",
    "tests/runs/test_folder.py::test_a_run_folder_is_written_by_one_process",
    "tests/data/test_noise.py::test_an_epoch_is_a_pure", "tests/data/test_noise.py::test_data_prepared",
    "tests/text/test_nesting.py",
    "tests/text/test_sentences.py::test_the_graph_splits", "tests/text/test_masking.py::test_a_users_expression",
    "tests/inference/test_translator.py", "tests/layers/test_keras_face.py",
    "tests/inference/test_alignment.py", "tests/decoding/test_beam_search.py::test_a_step_gains_no_operation",
    "tests/runs/test_verification.py::test_training", "tests/text/test_splitting.py::test_texts_are_cut_where",
    "tests/text/test_masking.py::test_what_is_masked_comes_back",
    "tests/training/test_plan.py::test_every_size_of_corpus", "tests/decoding/test_sampling.py",
    "tests/serving/test_report_page.py::test_a_report_in_a_browser",
    "tests/data/test_preparation.py", "tests/data/test_batches.py::test_resumed_batches",
    "tests/test_fuzz_corpora.py",
)  # fmt: skip
_FAST_PLACES = (
    "tests/serving/test_client.py", "tests/serving/test_heat_map_page.py", "tests/serving/test_report_page.py",
    "tests/serving/test_warmup.py",
    "tests/training/test_schedule.py", "tests/training/test_trainer.py", "tests/training/test_run_metrics.py",
    "tests/training/test_interruption.py", "tests/analysis/test_tasks.py", "tests/augmentation/test_parts.py",
    "tests/training/test_plan.py",
)  # fmt: skip
_PLACES = (*_SLOW_PLACES, *_FAST_PLACES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that `make test-fast` leaves out, and puts files in an order in which no process waits long."""
    for item in items:
        place = max((place for place in _PLACES if item.nodeid.startswith(place)), key=len, default="")
        slow = place in _SLOW_PLACES  # the most exact place decides
        if slow or _SHARED_RUNS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    long = {item.path for item in items if item.get_closest_marker("slow")}
    sharing = {item.path for item in items if _SHARED_RUNS & set(getattr(item, "fixturenames", ()))}

    def turn(item: pytest.Item) -> int:
        if item.path.name == _MAKES_SHARED_RUNS:
            return 0  # in one process, while the other has tests that need none
        return 3 if item.path not in long else 2 if item.path in sharing else 1

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """Has graphs run as the commands run them, and no time go into what no test looks at."""
    if "tensorflow" in sys.modules:
        rewrite_no_graphs()
        _record_no_stacks()
    gc.freeze()  # no garbage among what was imported


def _record_no_stacks() -> None:
    """Has TensorFlow not record where in the code each operation of a graph was made: a tenth of the time of tests."""
    from tensorflow.python.util import tf_stack

    somewhere = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: somewhere


@pytest.fixture
def quick_validation() -> Iterator[None]:
    with validating_by_loss():
        yield


Shared = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Has a folder made once for all processes that run tests, from its name and a function that fills it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        made = base / f"shared-{name}"
        with open(made.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.with_suffix(".made").exists():
                made.mkdir(exist_ok=True)
                fill(made)
                made.with_suffix(".made").touch()
        return made

    return folder


@pytest.fixture(scope="session", autouse=True)
def shared_translators() -> Iterator[None]:
    """Has commands take up the translator of a run that tests share, once it is loaded and its graph made."""
    with pytest.MonkeyPatch.context() as patched:
        if "tensorflow" in sys.modules:
            from nmt.runs import translation

            load, loaded = translation.load_translator, {}

            def load_once(path: str | Path, *arguments: Any, **options: Any) -> Any:
                if not Path(path).parent.name.startswith("shared-"):
                    return load(path, *arguments, **options)
                key = repr((str(path), arguments, options))
                if key not in loaded:
                    loaded[key] = load(path, *arguments, **options)
                return loaded[key]

            patched.setattr(translation, "load_translator", load_once)
        yield


@pytest.fixture(scope="session")
def trained_run(shared: Shared) -> Path:
    """A run of some seconds; its translations are digits, if not all the right ones."""

    def fill(folder: Path) -> None:
        from nmt.training.train import train

        training = {"max_steps": 200, "validate_every": 100, "learning_rate": 0.01}
        with validating_by_loss():
            train(reversal_config(folder / "corpus", training=training), folder / "run")

    return shared("trained", fill) / "run"


@pytest.fixture(scope="session")
def second_run(trained_run: Path, shared: Shared) -> Path:
    """A run of the same tokens as `trained_run` and of another shape; it names an ensemble that is not there."""

    def fill(folder: Path) -> None:
        from nmt.training.train import train

        config = reversal_config(
            folder / "corpus",
            tokenizer={"model": str(trained_run / "data" / "target.model")},
            model={"cell": "lstm", "units": 24, "embedding": 12, "decoder_layers": 2, "attention": "additive"},
            training={"max_steps": 120, "validate_every": 60, "learning_rate": 0.01},
            decoding={"ensemble": [str(folder / "nowhere")]},
        )
        with validating_by_loss():
            train(config, folder / "run")

    return shared("second", fill) / "run"


@pytest.fixture(scope="session")
def exported(trained_run: Path, shared: Shared) -> Path:
    """The trained run's export with `SHIPPED_DECODING`, a folder that holds the version `1`."""

    def fill(folder: Path) -> None:
        from nmt.serving.saved_model import export_saved_model

        export_saved_model(trained_run, folder / "translator", overrides=SHIPPED_DECODING)

    return shared("exported", fill) / "translator"


@pytest.fixture(scope="session")
def language_model_run(trained_run: Path, shared: Shared) -> Path:
    """A language model of some seconds' training, of the language that `trained_run` translates to."""

    def fill(folder: Path) -> None:
        from nmt.training.train import train

        config = language_model_config(
            folder,
            digit_strings(1000, range(3, 8), seed=5),
            tokenizer={"model": str(trained_run / "data" / "target.model")},
            training={"max_steps": 60, "validate_every": 30, "learning_rate": 0.01},
        )
        train(config, folder / "run")

    return shared("language-model", fill) / "run"
