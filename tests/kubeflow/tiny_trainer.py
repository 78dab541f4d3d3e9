"""The user's module of the Trainer: a model that is one file."""

from pathlib import Path


def run_fn(fn_args):
    """Writes how many steps it was told to train."""
    folder = Path(fn_args.serving_model_dir)
    folder.mkdir(parents=True)
    (folder / "steps.txt").write_text(str(fn_args.train_steps))
