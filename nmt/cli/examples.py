"""The examples at the end of each command's help, by the command's name; a test runs every one of them."""

EXAMPLES: dict[str, list[str]] = {
    "quickstart": ["nmt quickstart", "nmt quickstart --run runs/en-es --target es"],
    "prepare": ["nmt prepare my.yaml --run runs/mine"],
    "train": [
        "nmt train my.en.gz my.de.gz --run runs/mine --minutes 30",
        "nmt train memory.tmx --source en --target de --run runs/mine",
        "nmt train my.yaml --run runs/mine --set training.max_minutes=60",
    ],
    "tune": ["nmt tune runs/mine --sentences 500"],
    "average": ["nmt average runs/mine", "nmt average runs/mine best last"],
    "verify": ["nmt verify runs/mine", "nmt verify exported"],
    "bench": ["nmt bench my.yaml --steps 50"],
    "translate": [
        "nmt translate runs/mine --input new.en --output new.de",
        "nmt translate runs/mine strings.po --output strings.de.po",
        'echo "Restart the device." | nmt translate runs/mine --format json',
    ],
    "score": ["nmt score runs/mine test.en test.de"],
    "evaluate": [
        "nmt evaluate runs/mine --examples 10 --save mine.de",
        "nmt evaluate --hypotheses mine.de --references test.de \\\n    --baseline other.de --language de",
        "nmt evaluate runs/language-model --text test.de",
    ],
    "sample": ['nmt sample runs/language-model --count 10 --prompt "Press"'],
    "select": [
        "nmt select web.en web.de --in-domain runs/domain --general runs/web \\\n"
        "    --keep 0.2 --output selected.en --output selected.de"
    ],
    "augment": [
        "nmt augment runs/de-en news.de --method back-translation --to made",
        "nmt augment runs/mine news.en --method self-training --keep 0.5 --to more",
    ],
    "distill": [
        "nmt distill runs/mine --to runs/fast --minutes 30",
        "nmt distill runs/mine runs/second --to runs/fast",
    ],
    "gradients": [
        "nmt gradients --cell gru --cell rnn --output gradients",
        "nmt gradients runs/mine --output gradients",
    ],
    "report": [
        "nmt report runs/mine --output report.html",
        "nmt report runs/mine runs/other --output comparison.html",
    ],
    "export": [
        "nmt export runs/mine --to exported",
        "nmt export runs/mine --to phone --format litert --weights int8",
    ],
    "client": [
        "nmt client localhost:8500 --input new.en --output new.de",
        'echo "Restart the device." | nmt client localhost:8501 --rest',
    ],
    "demo": ["nmt demo runs/mine --open"],
}


def epilog(command: str) -> str | None:
    """Returns what the help of a command ends with; None if there is no example.

    Args:
        command: its name.

    Example:

    >>> print(epilog("tune"))
    Example:
    nmt tune runs/mine --sentences 500
    """
    examples = EXAMPLES.get(command)
    if examples is None:
        return None
    return "\n".join(["Examples:" if len(examples) > 1 else "Example:", *examples])
