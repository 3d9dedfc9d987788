"""The modes in which a run is evaluated; `benchmark.record.phases` explains them."""

EVALUATIONS = ("resident", "swap", "overlap")
