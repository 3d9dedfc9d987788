"""A run in the stores of MLflow and Weights & Biases, each only if its library is installed; nothing goes to a network.

    to_mlflow(run, Path("results/mlflow.db"))           # then: mlflow ui --backend-store-uri sqlite:///results/mlflow.db
    to_wandb(run, Path("results/wandb"))                # then, if you like: wandb sync

Steps are utterances. MLflow's own file store is deprecated, so that its store is SQLite. W&B runs are offline.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.export.moments import moments
from benchmark.export.runs import ExportError, source_name
from benchmark.export.tensorboard import about
from benchmark.record import Run

EXPERIMENT = "speech-tta"
AT_ONCE = 900  # metrics; MLflow takes 1,000


def _parameters(run: Run) -> dict[str, object]:
    return {name: value for name, value in vars(run.identity).items() if value not in ("", None)}


def _name(run: Run) -> str:
    return source_name(run).removesuffix(".csv")


def to_mlflow(run: Run, store: Path) -> str:
    """Add a run to an SQLite store of MLflow; return what to do next.

    Raises:
        ExportError: MLflow is not installed, or the store has this run already.
    """
    try:
        from mlflow.entities import Metric
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise ExportError("mlflow is not installed: pip install mlflow") from None
    store.parent.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{store.resolve()}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    artifacts = store.resolve().parent / f"{store.stem}-artifacts"
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts.as_uri())
    if client.search_runs([experiment], f"attributes.run_name = '{_name(run)}'"):
        raise ExportError(f"{store}: has a run {_name(run)!r} already, and nothing is overwritten; choose another -o")
    every = list(moments(run))
    began_ms = round(1000 * (every[0].unix_s if every else 0))
    tags = {"mlflow.note.content": about(run)}
    made = client.create_run(experiment, start_time=began_ms, run_name=_name(run), tags=tags)
    identity = made.info.run_id
    for name, value in _parameters(run).items():
        client.log_param(identity, name, value)
    metrics = [
        Metric(tag, value, round(1000 * moment.unix_s), moment.step)
        for moment in every
        for tag, value in moment.values.items()
    ]
    for first in range(0, len(metrics), AT_ONCE):
        client.log_batch(identity, metrics=metrics[first : first + AT_ONCE])
    status = "RUNNING" if run.is_going else "FINISHED" if run.has_finished else "FAILED"
    if status != "RUNNING":
        client.set_terminated(identity, status, end_time=round(1000 * every[-1].unix_s) if every else None)
    return f"mlflow ui --backend-store-uri {uri}"


def to_wandb(run: Run, folder: Path) -> str:
    """Write a run as an offline run of Weights & Biases; return what to do next. Raises ExportError without wandb."""
    try:
        import wandb
    except ImportError:
        raise ExportError("wandb is not installed: pip install wandb") from None
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True)
    logged = wandb.init(
        project=EXPERIMENT, name=_name(run), dir=str(folder), mode="offline", config=_parameters(run), settings=settings
    )
    for moment in moments(run):
        logged.log({**moment.values, "utterances": moment.step, "_timestamp": moment.unix_s})
    place = Path(logged.dir).parent
    logged.finish()
    return f"wandb sync {place}"
